package cli

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"
)

// FuzzLines: whatever a file holds, every line is read or named once, with a place
// that is in it.
func FuzzLines(f *testing.F) {
	for _, s := range []string{"a,b\n", "\"x\",y\r\n", "\"x,y\n1,2\n", "1\n,,\n\n 3 , 4", "\x00\xff,\"\"\"\n", "\r\r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		file := &lineFile{name: "f", in: bufio.NewReader(strings.NewReader("a,b\n" + body)), close: func() error { return nil }}
		known := func(c string) bool { return c == "a" || c == "b" }
		if err := file.header([]string{"a", "b"}, known); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(body, "\n")
		at := 1
		for {
			rec, bad, err := file.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				if len(body) <= maxLine {
					t.Fatal(err)
				}
				return
			}
			if (rec == nil) == (bad == nil) {
				t.Fatalf("line %d: %v and %v", file.line, rec, bad)
			}
			if file.line <= at || file.line > len(lines)+1 {
				t.Fatalf("line %d after line %d of %d", file.line, at, len(lines)+1)
			}
			for _, skipped := range lines[at-1 : file.line-2] {
				if strings.TrimSpace(skipped) != "" {
					t.Fatalf("line %d: %q was skipped", file.line-1, skipped)
				}
			}
			at = file.line
			text := lines[at-2]
			if bad != nil && (bad.Line != at || bad.Column < 1 || bad.Column > len(text)+1 || bad.Message == "") {
				t.Fatalf("%q: %+v", text, bad)
			}
			if rec != nil && (rec.line != at || len(rec.values) != 2 || rec.column["b"] < 1 || rec.column["b"] > len(text)+1) {
				t.Fatalf("%q: %+v", text, rec)
			}
		}
	})
}
