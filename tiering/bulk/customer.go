package bulk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"greenlane/tiering"
)

// customer reads a JSON line of a customer's figures: keys are those of the
// columns, and the figures may be numbers or texts.
func (p *parser) customer(line []byte) (c tiering.Change, f Fault, ok bool) {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.UseNumber()
	var o map[string]any
	if err := dec.Decode(&o); err != nil {
		return c, jsonFault(err, len(line)), false
	}
	if rest := bytes.TrimLeft(line[dec.InputOffset():], " \t"); len(rest) > 0 {
		return c, Fault{Column: len(line) - len(rest) + 1, Err: errors.New("one object a line is allowed, and more follows")}, false
	}
	columns, required := p.r.o.columns()
	fault := func(name string, err error) (tiering.Change, Fault, bool) {
		return tiering.Change{}, Fault{Column: bytes.Index(line, []byte(strconv.Quote(name))) + 1, Field: name, Err: err}, false
	}
	texts := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(o)) {
		switch v := o[name].(type) {
		case string:
			texts[name] = v
		case json.Number:
			texts[name] = v.String()
		default:
			return fault(name, errors.New("a text or a number is allowed"))
		}
		if !slices.Contains(columns, name) {
			return fault(name, fmt.Errorf("key %.40q is unknown: %s are known", name, strings.Join(columns, ", ")))
		}
	}
	for _, name := range columns[:required] {
		if _, there := texts[name]; !there {
			return fault(name, errors.New("it is missing"))
		}
	}
	var err error
	if c.Number, err = p.r.o.number(texts[Number]); err != nil {
		return fault(Number, err)
	}
	for i, factor := range p.r.o.Grading.Factors {
		if p.values[i], err = figureOf(texts[factor.Name]); err != nil {
			return fault(factor.Name, err)
		}
	}
	if _, c.Tier, err = p.r.o.Grading.Grade(p.values); err != nil {
		return c, Fault{Err: err}, false
	}
	if texts[Ends] != "" {
		if c.Ends, err = p.r.o.end(texts[Ends]); err != nil {
			return fault(Ends, err)
		}
	}
	if texts[Flags] != "" {
		n, err := strconv.ParseUint(texts[Flags], 10, 8)
		if err != nil {
			return fault(Flags, errors.New("a whole number from 0 to 255 is allowed"))
		}
		c.Flags = tiering.Flags(n)
	}
	c.Note = texts[Note]
	return c, Fault{}, true
}
