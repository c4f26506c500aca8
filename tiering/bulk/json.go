package bulk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"greenlane/tiering"
)

// object reads a JSON line.
func (p *parser) object(line []byte) (c tiering.Change, f Fault, ok bool) {
	var o struct {
		Number *string `json:"number"`
		Tier   *string `json:"tier"`
		Ends   string  `json:"ends"`
		Flags  *uint8  `json:"flags"`
		Note   string  `json:"note"`
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&o); err != nil {
		return c, jsonFault(err, len(line)), false
	}
	if rest := bytes.TrimLeft(line[dec.InputOffset():], " \t"); len(rest) > 0 {
		return c, Fault{Column: len(line) - len(rest) + 1, Err: errors.New("one object a line is allowed, and more follows")}, false
	}
	fault := func(name string, err error) (tiering.Change, Fault, bool) {
		column := bytes.Index(line, []byte(`"`+name+`"`)) + 1
		return tiering.Change{}, Fault{Column: column, Field: name, Err: err}, false
	}
	missing := errors.New("it is missing")
	if o.Number == nil {
		return fault(Number, missing)
	}
	if o.Tier == nil {
		return fault(Tier, missing)
	}
	var err error
	if c.Number, err = p.r.o.number(*o.Number); err != nil {
		return fault(Number, err)
	}
	if c.Tier, err = tierOf([]byte(*o.Tier)); err != nil {
		return fault(Tier, err)
	}
	if o.Ends != "" {
		if c.Ends, err = p.r.o.end(o.Ends); err != nil {
			return fault(Ends, err)
		}
	}
	if o.Flags != nil {
		c.Flags = tiering.Flags(*o.Flags)
	}
	c.Note = o.Note
	return c, Fault{}, true
}

// jsonFault says in the words of the file what the library says in Go's.
func jsonFault(err error, size int) Fault {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return Fault{Column: int(syntax.Offset), Err: errors.New(syntax.Error())}
	case errors.As(err, &kind):
		wanted := "a text"
		switch kind.Type.Kind().String() {
		case "uint8":
			wanted = "a whole number from 0 to 255"
		case "struct":
			wanted = "an object"
		}
		return Fault{Column: int(kind.Offset), Field: kind.Field, Err: fmt.Errorf("a %s stands where %s is allowed", kind.Value, wanted)}
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return Fault{Column: size + 1, Err: errors.New("it is cut off")}
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return Fault{Err: fmt.Errorf("key %s is unknown: %s are known", name, strings.Join(Columns, ", "))}
	}
	return Fault{Err: err}
}
