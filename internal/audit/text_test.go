package audit

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestTextHoldsNoNumber(t *testing.T) {
	for in, want := range map[string]string{
		"":                            "",
		"abuse on 3 calls, 12 times":  "abuse on 3 calls, 12 times",
		"rang from 13800138000 again": "rang from *********** again",
		"+86 138-0013-8000.":          "+** ***-****-****.",
		"(010) 6552 9988 / 4":         "(***) **** **** / *",
		"۱۳۸۰۰۱۳۸۰۰۰ and １３８００１３８０００": "*********** and ***********",
		"1 2 3 4":                           "1 2 3 4",
		"欠费 13800138000 三次":                 "欠费 *********** 三次",
		strings.Repeat("x", 198) + "欠费":     strings.Repeat("x", 198),
		strings.Repeat("y", maxText) + "13": strings.Repeat("y", maxText),
	} {
		if got := Text(in); got != want {
			t.Errorf("%q is kept as %q, want %q", in, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		before, after := rapid.String().Draw(t, "before"), rapid.String().Draw(t, "after")
		got := Text(before + "13800138000" + after)
		if strings.Contains(got, "38000") || !utf8.ValidString(got) || len(got) > maxText {
			t.Fatalf("kept: %q", got)
		}
	})
}
