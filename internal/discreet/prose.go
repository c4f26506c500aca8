package discreet

import (
	"strings"
	"unicode"
)

// longDigits is how many digits in a row may be part of a phone number that a person
// wrote; wholeDigits are a whole one.
const (
	longDigits  = 5
	wholeDigits = 8
)

// Prose returns what a person wrote without digits that could be a phone number: all
// of them go, in whatever script, written together or with blanks, dashes, dots,
// slashes or brackets in between. Text is for what programs write, where ids and
// instants must stay what they are.
func Prose(s string) string { return hide(s, longDigits, 0) }

// Words returns what others wrote, a person or a switch, with the digits of every
// phone number in it masked but for the last four: Prose for who has to read it.
func Words(s string) string { return hide(s, wholeDigits, shown) }

// hide masks digits that belong together, when they are so many, but for some at their
// end.
func hide(s string, least, shown int) string {
	out := []rune(s)
	for begin := 0; begin < len(out); {
		end, digits := begin, 0
		for i := begin; i < len(out) && (unicode.IsDigit(out[i]) || digits > 0 && strings.ContainsRune(" \t\u00a0-–./()+", out[i])); i++ {
			if unicode.IsDigit(out[i]) {
				digits, end = digits+1, i+1
			}
		}
		if digits == 0 {
			begin++
			continue
		}
		for i, left := begin, digits; i < end && digits >= least; i++ {
			if !unicode.IsDigit(out[i]) {
				continue
			}
			if left > shown {
				out[i] = '*'
			}
			left--
		}
		begin = end
	}
	return string(out)
}
