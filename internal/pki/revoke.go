package pki

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"greenlane/internal/auth/revoked"
)

// RevokeToken puts a token on the directory's list of revoked tokens. The error says
// so when the token is none of the directory's, or bears no id.
func (d Dir) RevokeToken(token string) error {
	text, err := os.ReadFile(d.file(jwksFile))
	if err != nil {
		return fmt.Errorf("%w (greenlane pki dev makes the directory)", err)
	}
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal(text, &keys); err != nil {
		return fmt.Errorf("%s: %w", d.file(jwksFile), err)
	}
	parsed, err := jwt.ParseSigned(strings.TrimSpace(token), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return errors.New("it is neither a certificate nor a token") // not the reason, which may quote the token
	}
	var claims jwt.Claims
	if err := parsed.Claims(keys, &claims); err != nil {
		return errors.New("not a token of this directory's key")
	}
	if claims.ID == "" {
		return fmt.Errorf("the token bears no id: revoke what was issued to %q instead", claims.Subject)
	}
	expires := claims.Expiry.Time().UTC()
	return d.revise(func(list *revoked.List) {
		if !slices.ContainsFunc(list.Tokens, func(t revoked.Token) bool { return t.ID == claims.ID }) {
			list.Tokens = append(list.Tokens, revoked.Token{ID: claims.ID, Expires: &expires})
		}
	})
}

// RevokeName takes back all tokens that were issued to a name up to now.
func (d Dir) RevokeName(name string) error {
	now := d.Now().UTC()
	return d.revise(func(list *revoked.List) {
		list.Names = slices.DeleteFunc(list.Names, func(n revoked.Name) bool { return n.Name == name && n.IssuedBefore.Before(now) })
		list.Names = append(list.Names, revoked.Name{Name: name, IssuedBefore: now})
	})
}

// leeway is how long after its end a token may still be believed, at most; its entry
// stays so long.
const leeway = time.Hour

// revise changes the list, and removes the tokens that have expired anyway.
func (d Dir) revise(change func(*revoked.List)) error {
	list := new(revoked.List)
	switch text, err := os.ReadFile(d.file(revokedFile)); {
	case errors.Is(err, os.ErrNotExist): // a directory from before there were lists
	case err != nil:
		return err
	default:
		if list, err = revoked.Parse(text); err != nil {
			return fmt.Errorf("%s: %w", d.file(revokedFile), err)
		}
	}
	gone := d.Now().Add(-leeway)
	list.Tokens = slices.DeleteFunc(list.Tokens, func(t revoked.Token) bool { return t.Expires != nil && t.Expires.Before(gone) })
	change(list)
	return d.writeRevoked(list)
}

func (d Dir) writeRevoked(list *revoked.List) error {
	if list.Tokens == nil {
		list.Tokens = []revoked.Token{}
	}
	if list.Names == nil {
		list.Names = []revoked.Name{}
	}
	text, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return err
	}
	return d.write(revokedFile, append(text, '\n'), 0o644)
}
