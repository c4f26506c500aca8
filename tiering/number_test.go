package tiering

import (
	"errors"
	"strings"
	"testing"
)

func TestMasked(t *testing.T) {
	for n, want := range map[Number]string{
		"+8613800138000":  "+86*******8000",
		"+861012345678":   "+86******5678",
		"+12025550123":    "+1******0123",
		"+74951234567":    "+7******4567",
		"+85291234567":    "+852****4567",
		"+2421234567":     "+242***4567",
		"+242123456":      "+242******",
		"13800138000":     "*******8000",
		"8001":            "****",
		"123456":          "******",
		"1234567":         "***4567",
		"+8":              "+8",
		"+86":             "+86",
		"+":               "+",
		"":                "",
		"not a number":    "************",
		"+86 138":         "*******",
		"8613800138000+1": "***************",
	} {
		if got := n.Masked(); got != want {
			t.Errorf("Masked(%q) = %q, want %q", string(n), got, want)
		}
	}
}

func TestNumberCheck(t *testing.T) {
	for _, n := range []Number{"+8613800138000", "8001", "1", Number(strings.Repeat("1", MaxNumberBytes))} {
		if err := n.Check(); err != nil {
			t.Errorf("%q: %v", string(n), err)
		}
	}
	for _, n := range []Number{
		Withheld, "+", "++1", "1+", "a", "1 2", "\x00", "１", Number(strings.Repeat("1", MaxNumberBytes+1)),
	} {
		err := n.Check()
		if !errors.Is(err, ErrNumber) {
			t.Errorf("%q: %v, want ErrNumber", string(n), err)
		}
	}
}

// TestCallingCodesAreTheLibrarys holds the table of calling codes against every
// code that has a country.
func TestCallingCodesAreTheLibrarys(t *testing.T) {
	for code, region := range regionsByCode() {
		if got := callingCodeLen(code + "123456789"); got != len(code) {
			t.Errorf("the calling code %s of %s is taken to have %d digits", code, region, got)
		}
	}
}
