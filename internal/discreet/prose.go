package discreet

import (
	"strings"
	"unicode"
)

// longDigits is how many digits in a row may be part of a phone number that a person
// wrote.
const longDigits = 5

// Prose returns what a person wrote without digits that could be a phone number: all
// of them go, in whatever script, written together or with blanks, dashes, dots,
// slashes or brackets in between. Text is for what programs write, where ids and
// instants must stay what they are.
func Prose(s string) string {
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
		for i := begin; i < end && digits >= longDigits; i++ {
			if unicode.IsDigit(out[i]) {
				out[i] = '*'
			}
		}
		begin = end
	}
	return string(out)
}
