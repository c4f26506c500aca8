package redisconn

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// ErrLost says that the connection broke, or that the reply did not come in time.
// Whether the command was done is unknown.
var ErrLost = errors.New("no answer from Redis, and whether the command was done is unknown")

// lostError is what a broken or late connection returns. It hides the cause from
// errors.Is and errors.As on purpose: the Cluster client sends a command again,
// whatever MaxRetries says, when it finds an end of file or a time-out in an
// error, and a script would then run twice.
type lostError struct{ cause error }

func (e *lostError) Error() string { return ErrLost.Error() + ": " + e.cause.Error() }

// Is lets errors.Is find ErrLost, and whether it was a time-out.
func (e *lostError) Is(target error) bool {
	return target == ErrLost || target == os.ErrDeadlineExceeded && errors.Is(e.cause, os.ErrDeadlineExceeded)
}

// dialer returns the library's own dialer, whose connections fail with lostError.
// What fails while dialling stays as it is: no command was sent then, and the
// library may try again. failed is called after every failure, and must not wait.
func dialer(u *redis.UniversalOptions, failed func()) func(ctx context.Context, network, addr string) (net.Conn, error) {
	dial := redis.NewDialer(&redis.Options{DialTimeout: u.DialTimeout, TLSConfig: u.TLSConfig})
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			failed()
			return nil, err
		}
		if sys, ok := c.(syscall.Conn); ok {
			return &socket{conn{c, failed}, sys}, nil
		}
		return &conn{c, failed}, nil
	}
}

// conn is a connection whose failures are lostErrors.
type conn struct {
	net.Conn
	failed func()
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	return n, c.lost(err)
}

func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	return n, c.lost(err)
}

func (c *conn) lost(err error) error {
	if err == nil {
		return nil
	}
	c.failed()
	return &lostError{err}
}

// socket is a conn that the pool can ask whether the other side has closed it.
type socket struct {
	conn
	syscall.Conn
}
