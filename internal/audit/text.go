package audit

import (
	"unicode/utf8"

	"greenlane/internal/discreet"
)

// maxText is how many bytes of what a person wrote are kept.
const maxText = 200

// Text is what the record holds of what a person wrote: at most 200 bytes, and
// without digits that could be a phone number.
func Text(s string) string {
	text := discreet.Prose(s)
	if len(text) > maxText {
		text = text[:maxText]
		for !utf8.ValidString(text) {
			text = text[:len(text)-1]
		}
	}
	return text
}
