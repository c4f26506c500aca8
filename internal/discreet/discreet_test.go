package discreet

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		`call_id: "+8613912345678" is no call`:  `call_id: "+*********5678" is no call`,
		"13912345678":                           "*******5678",
		"008613912345678,":                      "***********5678,",
		"139 1234 5678":                         "*** **** 5678",
		"(010) 6552-9988 rings":                 "(***) ****-9988 rings",
		"caller=13912345678 and +8613912345678": "caller=*******5678 and +*********5678",
		"agent 8001 has 1234567 offers":         "agent 8001 has 1234567 offers",
		"127.0.0.1:34567 2026-11-26 13:14:48":   "127.0.0.1:34567 2026-11-26 13:14:48",
		"2026-11-26T13:14:48Z":                  "2026-11-26T13:14:48Z",
		"o-123456789 cb-123456789 c_123456789":  "o-123456789 cb-123456789 c_123456789",
		"goroutine 12 +0x1d 0xc000123456789":    "goroutine 12 +0x1d 0xc000123456789",
		"550e8400-e29b-41d4-a716-446655440000":  "550e8400-e29b-41d4-a716-446655440000",
		"1700000000.123":                        "1700000000.123",
		"r+8613912345678x r13912345678":         "r+*********5678x r13912345678",
		"sip:13912345678@pbx tel:13912345678":   "sip:*******5678@pbx tel:*******5678",
		"path=/13912345678":                     "path=/*******5678",
		"crm-13500135004":                       "crm-*******5004",
		"crm.13500135004":                       "crm.*******5004",
		`"crm-13500135004"`:                     `"crm-*******5004"`,
		"call-1-8613800138222, 2 times":         "call-1-*********8222, 2 times",
		"rec-13500135004.wav and a.13500135004": "rec-*******5004.wav and a.*******5004",
		"a-13500135004-2 b-013500135004.":       "a-*******5004-2 b-********5004.",
		"agent7 13500135004 rings":              "agent7 *******5004 rings",
		"2026-11-26 13500135004":                "2026-11-26 *******5004",
		"crm_13500135004 1:13500135004":         "crm_*******5004 1:*******5004",
		"2026-11-26-13500135004":                "2026-11-26-*******5004",
		"7-13500135004-13500135005":             "7-*******5004-*******5005",
		"c-13500135004x c-1350013500412345":     "c-13500135004x c-1350013500412345",
		"v0.3.0-20261126131448-abcdef012345":    "v0.3.0-20261126131448-abcdef012345",
		"pbx-1764134088.12 10.0.0.1:34567":      "pbx-1764134088.12 10.0.0.1:34567",
		"took 1.123456789s, 0.25 of 1.5":        "took 1.123456789s, 0.25 of 1.5",
		"offer o-1234567 of 2026-11-26":         "offer o-1234567 of 2026-11-26",
		"":                                      "",
	} {
		if got := Text(in); got != want {
			t.Errorf("Text(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestWords(t *testing.T) {
	for in, want := range map[string]string{
		"sip:13912345678@pbx":           "sip:*******5678@pbx",
		"ring 139-1234-5678, room 1204": "ring ***-****-5678, room 1204",
		"order 1234567":                 "order 1234567",
		"r13912345678x":                 "r*******5678x",
		"":                              "",
	} {
		if got := Words(in); got != want {
			t.Errorf("Words(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestHandler(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(Handler(slog.NewTextHandler(&out, nil))).With("with", "+8613912345678").WithGroup("g")
	log.Info("rang +8613912345678", "text", "13912345678", "error", errors.New(`"008613912345678" is wrong`), "any", []string{"13912345678"},
		slog.Group("in", "number", "139 1234 5678"), "port", 34567890, "took", time.Second, "bytes", []byte("13912345678"))
	if got := out.String(); strings.Contains(got, "3912345678") || strings.Contains(got, "1234 5678") || !strings.Contains(got, "34567890") ||
		!strings.Contains(got, "g.took=1s") || !strings.Contains(got, "g.in.number") {
		t.Error(got)
	}
	log.Debug("not shown")
	if strings.Contains(out.String(), "not shown") {
		t.Error("levels are lost")
	}
}
