package auth

import (
	"fmt"
	"time"

	"greenlane/internal/auth/revoked"
)

// revocations are a list as it is asked.
type revocations struct {
	ids   map[string]struct{}
	names map[string]time.Time
}

func readRevocations(texts [][]byte) (*revocations, error) {
	list, err := revoked.Parse(texts[0])
	if err != nil {
		return nil, fmt.Errorf("auth.tokens.revoked_file: %w", err)
	}
	r := &revocations{ids: make(map[string]struct{}, len(list.Tokens)), names: make(map[string]time.Time, len(list.Names))}
	for _, t := range list.Tokens {
		r.ids[t.ID] = struct{}{}
	}
	for _, n := range list.Names {
		if n.IssuedBefore.After(r.names[n.Name]) {
			r.names[n.Name] = n.IssuedBefore
		}
	}
	return r, nil
}

// take reports whether a token is on the list.
func (r *revocations) take(b *believed) bool {
	if _, ok := r.ids[b.id]; ok && b.id != "" {
		return true
	}
	return r.issuedTooEarly(b.known.Name, b.issued) || r.issuedTooEarly(b.subject, b.issued)
}

func (r *revocations) issuedTooEarly(name string, issued time.Time) bool {
	before, ok := r.names[name]
	return ok && issued.Before(before) // a token that does not say when it was issued has the zero instant
}
