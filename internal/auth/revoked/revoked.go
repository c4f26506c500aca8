// Package revoked is the list of tokens that count no more although they have not
// expired: its form, for the daemon that keeps to it and for the tool that writes it.
package revoked

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// List is what a file has: JSON, because a JSON text that was cut short is none.
type List struct {
	// Tokens are single tokens.
	Tokens []Token `json:"tokens"`
	// Names are all tokens of somebody up to an instant.
	Names []Name `json:"names"`
}

// Token takes one token back.
type Token struct {
	// ID is the token's jti.
	ID string `json:"id"`
	// Expires is when the token would have expired: from then on the entry may be
	// removed. nil: it is not known.
	Expires *time.Time `json:"expires,omitempty"`
}

// Name takes back what was issued to somebody.
type Name struct {
	// Name is the name that the tokens bear, or their sub where the name stands in
	// another claim. It is no pattern: "*" is whoever acts under every name.
	Name string `json:"name"`
	// IssuedBefore is the first instant whose tokens count again, by their iat. A
	// token without iat does not count either.
	IssuedBefore time.Time `json:"issued_before"`
}

// Parse reads a list. It is strict: a list of which a part is not understood
// would let in whom that part was meant to keep out.
func Parse(text []byte) (*List, error) {
	in := json.NewDecoder(bytes.NewReader(text))
	in.DisallowUnknownFields()
	var out *List
	if err := in.Decode(&out); err != nil {
		return nil, fmt.Errorf("no list of revoked tokens: %w", err)
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something stands behind the list")
	}
	if out == nil {
		return nil, errors.New("no list of revoked tokens: it is null")
	}
	for i, t := range out.Tokens {
		if t.ID == "" {
			return nil, fmt.Errorf("tokens[%d].id: must be given", i)
		}
	}
	for i, n := range out.Names {
		switch {
		case n.Name == "":
			return nil, fmt.Errorf("names[%d].name: must be given", i)
		case n.IssuedBefore.IsZero():
			return nil, fmt.Errorf("names[%d].issued_before: must be given", i)
		}
	}
	return out, nil
}
