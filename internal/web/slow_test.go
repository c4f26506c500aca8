package web

import (
	"context"
	"errors"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// deaf is a client's connection that takes a few writes and then none: each of
// these fails at its deadline, as a socket's does.
type deaf struct {
	takes    int
	deadline time.Time
}

func (d *deaf) Header() http.Header                    { return http.Header{} }
func (d *deaf) WriteHeader(int)                        {}
func (d *deaf) FlushError() error                      { return nil }
func (d *deaf) SetReadDeadline(time.Time) error        { return nil }
func (d *deaf) SetWriteDeadline(until time.Time) error { d.deadline = until; return nil }

func (d *deaf) Write(p []byte) (int, error) {
	if d.takes > 0 {
		d.takes--
		return len(p), nil
	}
	<-time.After(time.Until(d.deadline))
	return 0, os.ErrDeadlineExceeded
}

// A wallboard that does not read holds the latest frame of each kind and nothing
// more, and is given up.
func TestAWallboardThatDoesNotReadIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &deaf{takes: 3}
		me := &reader{news: make(chan struct{}, 1)}
		st := &stream{w: w, rc: http.NewResponseController(w)}
		ended := make(chan error, 1)
		go func() { ended <- st.run(context.Background(), nil, me, hello{}) }()
		synctest.Wait()
		began := time.Now()
		latest := &frame{plain: []byte("latest")}
		for range 1000 {
			me.give(kindFigures, &frame{plain: []byte("old")})
			synctest.Wait()
		}
		me.give(kindFigures, latest)
		if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("ended with %v", err)
		}
		if took := time.Since(began); took != stallLimit {
			t.Errorf("given up after %v, want %v", took, stallLimit)
		}
		if next := me.take(); next[kindFigures] != latest || next[kindDay] != nil {
			t.Errorf("it holds %v", next)
		}
	})
}
