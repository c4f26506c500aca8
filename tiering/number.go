package tiering

import (
	"fmt"
	"strings"
)

// Number is a caller's number, the key of everything known about a caller. It
// has one of three shapes:
//
//   - E.164, a plus and digits ("+8613800138000"), which is what
//     Normalizer.Normalize returns;
//   - unnormalised, digits only ("8001"), which is what
//     Normalizer.NormalizeLenient falls back to: good as a key, not for dialling
//     from outside;
//   - Withheld, empty.
type Number string

// Withheld is the number of a caller who gave none.
const Withheld Number = ""

// MaxNumberBytes is the longest caller id that is read, and so the longest
// Number there is.
const MaxNumberBytes = 128

// IsE164 reports whether n starts with a plus, which every number does that
// was found valid in its country's numbering plan.
func (n Number) IsE164() bool { return strings.HasPrefix(string(n), "+") }

// Check returns nil when n can be the key of a directory entry: digits, with
// or without one plus in front, at most MaxNumberBytes. The error is ErrNumber
// and never quotes the number.
func (n Number) Check() error {
	switch digits := strings.TrimPrefix(string(n), "+"); {
	case n == Withheld:
		return fmt.Errorf("%w: it is empty, which stands for a withheld caller id", ErrNumber)
	case len(n) > MaxNumberBytes:
		return fmt.Errorf("%w: it has %d bytes, at most %d are allowed", ErrNumber, len(n), MaxNumberBytes)
	case digits == "" || !allDigits(digits):
		return fmt.Errorf("%w: digits are allowed, with or without one plus in front", ErrNumber)
	}
	return nil
}

// The digits that Masked leaves readable at the end, and how many it must hide
// to leave any.
const (
	maskShown  = 4
	maskHidden = 3
)

// Masked returns the number for screens and logs of those who may not read it:
// the country code and the last four digits stay ("+86*******8000"), and the
// length. Of a number too short to hide at least three digits that way only the
// country code stays. Withheld is "".
func (n Number) Masked() string {
	digits, e164 := strings.CutPrefix(string(n), "+")
	if !allDigits(digits) {
		return strings.Repeat("*", len(n))
	}
	prefix := ""
	if e164 {
		code := min(callingCodeLen(digits), len(digits))
		prefix, digits = "+"+digits[:code], digits[code:]
	}
	if len(digits) < maskShown+maskHidden {
		return prefix + strings.Repeat("*", len(digits))
	}
	hidden := len(digits) - maskShown
	return prefix + strings.Repeat("*", hidden) + digits[hidden:]
}

// callingCodeLen returns how many leading digits are the country calling code.
// ITU-T E.164 gives zones 1 and 7 one digit, the codes listed here two, and
// every other code three.
func callingCodeLen(digits string) int {
	switch {
	case digits == "":
		return 0
	case digits[0] == '1' || digits[0] == '7':
		return 1
	case len(digits) >= 2 && strings.Contains(twoDigitCodes, " "+digits[:2]+" "):
		return 2
	}
	return 3
}

const twoDigitCodes = " 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 " +
	"60 61 62 63 64 65 66 81 82 84 86 90 91 92 93 94 95 98 "

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
