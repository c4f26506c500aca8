package auth

import (
	"cmp"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"greenlane/internal/identity"
)

// Options say what identities rest on. Files that are not named are not used; no
// file at all means that nobody can prove anything.
type Options struct {
	// Cert and Key are the daemon's, PEM files; both or none.
	Cert, Key string
	// ClientCA are the certificate authorities of clients, a PEM file. ClientCRL
	// are their revocation lists, PEM or DER.
	ClientCA, ClientCRL string
	// TrustDomain is whose SPIFFE ids count; empty: nobody's.
	TrustDomain string
	// Subjects give an identity to certificates by their names. The first that
	// matches counts.
	Subjects []Subject
	// Tokens say which bearer tokens count.
	Tokens TokenOptions

	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Every is how often the files are looked at. 0: 2 s.
	Every  time.Duration
	Logger *slog.Logger
	// Refused, when set, is told of connections whose certificate was refused.
	Refused func(peer net.Addr, refusal *Refusal)
	// Took, when set, is told of changed files that count from now on, by what they
	// hold. No file is looked at before it returns.
	Took func(what string)
}

// Proof is what a request brings along.
type Proof struct {
	// Bearer is a token; empty: none was sent. A token that was sent is what
	// counts, whatever the certificate says.
	Bearer string
	// Chain is the client's certificate and those that were sent with it.
	Chain []*x509.Certificate
}

// Known is an identity that was proved.
type Known struct {
	identity.Identity
	// Until is when the proof ends to hold.
	Until time.Time
}

// Reason is why a proof was refused.
type Reason string

// The reasons. An expired credential was good before; an invalid one never was, or
// nobody vouches for it any more.
const (
	ReasonNone    Reason = "none" // nothing was brought
	ReasonInvalid Reason = "invalid"
	ReasonExpired Reason = "expired"
	ReasonRevoked Reason = "revoked"
)

// Refusal is a proof that was refused. Its text is for the log: it holds nothing
// of the credential but a certificate's own name.
type Refusal struct {
	Reason Reason
	Detail string
	// Name is the name that the certificate or the token bears; empty unless
	// somebody known vouched for it.
	Name string
}

// Error implements error.
func (r *Refusal) Error() string { return r.Detail }

var errNone = &Refusal{Reason: ReasonNone, Detail: "no credential was sent"}

// Authority proves identities and keeps the files they rest on. Open makes one;
// Start lets it look at its files, until Stop.
type Authority struct {
	opts    Options
	log     *slog.Logger
	server  *kept[serverFiles]
	clients *kept[clientFiles]
	tokens  *tokens // nil: none are accepted
	certs   *certificates
	counts  Counts

	mu      sync.Mutex
	changed chan struct{}

	quit chan struct{}
	done sync.WaitGroup
	once sync.Once
}

// Open reads every file. The error joins what is wrong with any of them.
func Open(opts Options) (*Authority, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	opts.Every = cmp.Or(opts.Every, 2*time.Second)
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	a := &Authority{opts: opts, log: opts.Logger, changed: make(chan struct{}), quit: make(chan struct{})}
	var faults []error
	var err error
	if opts.Cert != "" {
		a.server, err = open("tls: certificate and key", []string{opts.Cert, opts.Key}, readServer)
		faults = append(faults, err)
	}
	if opts.ClientCA != "" {
		files := []string{opts.ClientCA}
		if opts.ClientCRL != "" {
			files = append(files, opts.ClientCRL)
		}
		a.clients, err = open("tls: authorities of clients", files, (&clientReader{log: a.log}).read)
		faults = append(faults, err)
		a.certs, err = newCertificates(opts.TrustDomain, opts.Subjects)
		faults = append(faults, err)
	}
	if opts.Tokens.On() {
		a.tokens, err = newTokens(opts.Tokens)
		faults = append(faults, err)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return a, nil
}

// On reports whether anybody can prove who they are.
func (a *Authority) On() bool { return a.certs != nil || a.tokens != nil }

// Prove tells who brings a proof, or why it is not believed: a *Refusal.
func (a *Authority) Prove(p Proof) (Known, error) {
	now := a.opts.Now()
	var known Known
	var refusal *Refusal
	switch {
	case p.Bearer != "" && a.tokens != nil:
		known, refusal = a.tokens.prove(p.Bearer, now)
	case p.Bearer != "":
		refusal = &Refusal{Reason: ReasonInvalid, Detail: "a token was sent, but tokens are not set up"}
	case len(p.Chain) > 0 && a.certs != nil:
		known, refusal = a.certs.prove(p.Chain, a.clients.now(), now)
	default:
		refusal = errNone
	}
	if refusal != nil {
		return Known{}, refusal
	}
	return known, nil
}

// Changed returns a channel that is closed when files were taken that proofs rest
// on: what was proved before may hold no more.
func (a *Authority) Changed() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.changed
}

func (a *Authority) tellChanged() {
	a.mu.Lock()
	defer a.mu.Unlock()
	close(a.changed)
	a.changed = make(chan struct{})
}

// Left returns how long it is until an instant, by the authority's clock.
func (a *Authority) Left(until time.Time) time.Duration { return until.Sub(a.opts.Now()) }
