package main

import (
	"fmt"
	"io"
	"strings"
)

// textWidth is how wide running text is printed.
const textWidth = 79

// printWrapped writes running text in lines of at most textWidth.
func printWrapped(w io.Writer, text string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > textWidth {
			fmt.Fprintln(w, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		fmt.Fprintln(w, line)
	}
}
