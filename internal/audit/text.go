package audit

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxText    = 200 // bytes of free text
	longDigits = 5   // digits in a row that may be part of a phone number
)

// Text is what the record holds of what a person wrote: at most 200 bytes, and
// without digits that could be a phone number, written together or with blanks,
// dashes, dots, slashes or brackets in between.
func Text(s string) string {
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
	text := string(out)
	if len(text) > maxText {
		text = text[:maxText]
		for !utf8.ValidString(text) {
			text = text[:len(text)-1]
		}
	}
	return text
}
