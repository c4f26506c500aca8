package tiering

import (
	"errors"
	"strings"
	"testing"
)

func TestNormalize(t *testing.T) {
	z := normalizer(t, "cn")
	for raw, want := range map[string]Number{
		// One caller, however written.
		"+8613800138000":      "+8613800138000",
		"8613800138000":       "+8613800138000",
		"008613800138000":     "+8613800138000",
		"13800138000":         "+8613800138000",
		"013800138000":        "+8613800138000",
		"1795113800138000":    "+8613800138000",
		" +86 138-0013-8000 ": "+8613800138000",
		"+86 (138) 0013.8000": "+8613800138000",
		"138/0013/8000":       "+8613800138000",
		"＋８６１３８００１３８０００":                                       "+8613800138000",
		"\u202a+86 138\u00a00013‑8000\u202c":                   "+8613800138000",
		"tel:+86-138-0013-8000":                                "+8613800138000",
		"TEL:13800138000;phone-context=+86":                    "+8613800138000",
		"tel:13800138000;phone-context=example.cn":             "+8613800138000",
		"tel:+8613800138000;ext=12;isub=3":                     "+8613800138000",
		"sip:+8613800138000@10.0.0.1:5060;user=phone":          "+8613800138000",
		"SIPS:13800138000@host.example":                        "+8613800138000",
		"sip:%2B8613800138000@host":                            "+8613800138000",
		"sip:+8613800138000:secret@host":                       "+8613800138000",
		"sip:+8613800138000;verstat=TN-Validation-Passed@host": "+8613800138000",
		"sip:13800138000;phone-context=+86@host;user=phone":    "+8613800138000",
		"13800138000@10.0.0.1":                                 "+8613800138000",
		`"Li Lei" <sip:+8613800138000@host>;tag=9`:             "+8613800138000",
		`Anonymous <sip:+8613800138000@host>`:                  "+8613800138000",
		"<13800138000>":                                        "+8613800138000",
		"+86 010 1234 5678":                                    "+861012345678",
		"010-12345678":                                         "+861012345678",
		"02112345678":                                          "+862112345678",
		"400-800-1234":                                         "+864008001234",
		"0044 20 7946 0958":                                    "+442079460958",
		"+44 (0)20 7946 0958":                                  "+442079460958",
		"+39 06 1234 5678":                                     "+390612345678",
		"+1 202 555 0123":                                      "+12025550123",
		"+852 9123 4567":                                       "+85291234567",
		"+800 1234 5678":                                       "+80012345678",
		"tel:+86-138-0013-8000;phone-context=+1":               "+8613800138000",
		"sip:+8613800138000@" + strings.Repeat("h", MaxNumberBytes-len("sip:+8613800138000@")): "+8613800138000",
	} {
		if got, err := z.Normalize(raw); err != nil || got != want {
			t.Errorf("Normalize(%q) = %q, %v; want %q", raw, string(got), err, string(want))
		}
		if got, known := z.NormalizeLenient(raw); !known || got != want {
			t.Errorf("NormalizeLenient(%q) = %q, %v; want %q", raw, string(got), known, string(want))
		}
	}
}

func TestNormalizeWithheld(t *testing.T) {
	z := normalizer(t, "CN")
	for _, raw := range []string{
		"", " ", "anonymous", "Anonymous", "ANONYMOUS", "restricted", "unknown", "private", "unavailable", "withheld",
		"<unknown>", "Unknown Caller", "private-number", "not_available", "No Caller ID", "asterisk", "P", "O",
		"sip:anonymous@anonymous.invalid", "sip:4711@Anonymous.Invalid:5060", "sips:anonymous@10.0.0.1",
		`"Anonymous" <sip:anonymous@anonymous.invalid>;tag=1`, "sip:restricted@host", "sip:@host", "tel:", "<>",
		"anonymous@10.0.0.1", "0000000000", "+0", "匿名", "未知号码",
	} {
		if n, err := z.Normalize(raw); err != nil || n != Withheld {
			t.Errorf("Normalize(%q) = %q, %v; want a withheld number", raw, string(n), err)
		}
		if n, known := z.NormalizeLenient(raw); !known || n != Withheld {
			t.Errorf("NormalizeLenient(%q) = %q, %v; want a withheld number, known", raw, string(n), known)
		}
	}
}

func TestNormalizeRefusesAndLenientKeepsDigits(t *testing.T) {
	z := normalizer(t, "CN")
	for raw, lenient := range map[string]Number{
		"8001":                                "8001",
		"110":                                 "110",
		"95588":                               "95588",
		"+86 10086":                           "8610086",
		"1380013800":                          "1380013800", // a digit short
		"138001380000":                        "138001380000",
		"+8600013800138000":                   "8600013800138000",
		"+999123456789":                       "999123456789",
		"sip:8001@pbx":                        "8001",
		"12345678901234567890":                "12345678901234567890",
		"alice":                               Withheld,
		"sip:alice99@host":                    Withheld,
		"13800138000 ext 5":                   Withheld,
		"+86+13800138000":                     Withheld,
		"138001+38000":                        Withheld,
		"++8613800138000":                     Withheld,
		"sip:10.0.0.1":                        Withheld,
		"sip:%zz@host":                        Withheld,
		"+":                                   Withheld,
		"---":                                 Withheld,
		"\xff\xfe":                            Withheld,
		"138\x0000138000":                     Withheld,
		"*67":                                 Withheld,
		strings.Repeat("1", MaxNumberBytes+1): Withheld,
	} {
		n, err := z.Normalize(raw)
		if !errors.Is(err, ErrNumber) || n != Withheld {
			t.Errorf("Normalize(%q) = %q, %v; want ErrNumber", raw, string(n), err)
		} else if !strings.Contains(err.Error(), "allowed are E.164") {
			t.Errorf("Normalize(%q): %q does not say what is allowed", raw, err)
		}
		if n, known := z.NormalizeLenient(raw); known || n != lenient {
			t.Errorf("NormalizeLenient(%q) = %q, %v; want %q, unknown", raw, string(n), known, string(lenient))
		}
	}
}

func TestNormalizeElsewhere(t *testing.T) {
	for _, c := range []struct {
		region, raw string
		want        Number
	}{
		{"US", "(202) 555-0123", "+12025550123"},
		{"US", "1 202 555 0123", "+12025550123"},
		{"US", "011 86 138 0013 8000", "+8613800138000"},
		{"US", "00 86 138 0013 8000", "+8613800138000"}, // not the region's own prefix
		{"CA", "416 555 0123", "+14165550123"},
		{"GB", "020 7946 0958", "+442079460958"},
		{"HK", "9123 4567", "+85291234567"},
		{"IT", "06 1234 5678", "+390612345678"},
	} {
		if got, err := normalizer(t, c.region).Normalize(c.raw); err != nil || got != c.want {
			t.Errorf("in %s Normalize(%q) = %q, %v; want %q", c.region, c.raw, string(got), err, string(c.want))
		}
	}
	for _, region := range []string{"", "XX", "001", "China", "86"} {
		if _, err := NewNormalizer(region); err == nil {
			t.Errorf("region %q was accepted", region)
		}
	}
	if got := normalizer(t, " cn ").Region(); got != "CN" {
		t.Errorf("the region is %q", got)
	}
}

func FuzzNormalize(f *testing.F) {
	for _, seed := range []string{
		"", "+8613800138000", "+081220000000", "013800138000", "sip:%2B86138@h", `"x" <sip:1@h>`, "tel:1;phone-context=+86",
		"anonymous", "１３８", "<", ">", "@", "%", ";", "+86 (010) 12345678", "0011 1 202 555 0123", "\xff", "sip:@@:;=",
	} {
		f.Add(seed)
	}
	homes := []*Normalizer{normalizer(f, "CN"), normalizer(f, "US"), normalizer(f, "IT"), normalizer(f, "AR"), normalizer(f, "GG")}
	f.Fuzz(func(t *testing.T, raw string) {
		for _, z := range homes {
			n, err := z.Normalize(raw)
			lenient, known := z.NormalizeLenient(raw)
			switch {
			case err != nil && (!errors.Is(err, ErrNumber) || n != Withheld || known || lenient.IsE164()):
				t.Fatalf("%q: %q, %v; lenient %q, %v", raw, string(n), err, string(lenient), known)
			case err == nil && (!known || lenient != n):
				t.Fatalf("%q: %q, but lenient %q, %v", raw, string(n), string(lenient), known)
			}
			for _, result := range []Number{n, lenient} {
				if result == Withheld {
					continue
				}
				if err := result.Check(); err != nil {
					t.Fatalf("%q gives %q, which no directory takes: %v", raw, string(result), err)
				}
				if len(result.Masked()) != len(result) {
					t.Fatalf("%q is masked as %q", string(result), result.Masked())
				}
			}
			if again, err := z.Normalize(string(n)); err != nil && n != Withheld || again != n {
				t.Fatalf("%q gives %q, which gives %q, %v", raw, string(n), string(again), err)
			}
			if again, _ := z.NormalizeLenient(string(lenient)); !known && again != lenient && !again.IsE164() {
				t.Fatalf("%q gives %q, which gives %q", raw, string(lenient), string(again))
			}
			if text, err := read(raw); err == nil && !text.withheld {
				agree(t, z, text.digits, text.plus)
			}
		}
	})
}

func BenchmarkNormalize(b *testing.B) {
	z := normalizer(b, "CN")
	for name, raw := range map[string]string{
		"e164":         "+8613800138000",
		"national":     "13800138000",
		"code-no-plus": "8613800138000",
		"sip":          "sip:+8613800138000@10.0.0.1;user=phone",
		"spelled":      "+86 138-0013-8000",
		"abroad":       "+442079460958",
		"fixed":        "010-12345678",
		"invalid":      "8001",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = z.Normalize(raw)
			}
		})
	}
}
