package redischeck

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"greenlane/internal/redisconn"
)

// saying starts a server that answers every command with the same error.
func saying(t *testing.T, reply string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				for in := bufio.NewReader(c); ; {
					head, err := in.ReadString('\n')
					n, _ := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(head, "*")))
					for range 2 * n { // a length and a word
						_, err = in.ReadString('\n')
					}
					if err != nil {
						return
					}
					if _, err := io.WriteString(c, "-"+reply+"\r\n"); err != nil {
						return
					}
				}
			})
		}
	})
	return l.Addr().String()
}

// TestAway: what waiting mends is told from what a person has to.
func TestAway(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer gone.Close()
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	for addr, away := range map[string]bool{
		gone.Addr().String(): true,
		saying(t, "LOADING Redis is loading the dataset in memory"):                true,
		saying(t, "MASTERDOWN Link with MASTER is down"):                           true,
		saying(t, "WRONGPASS invalid username-password pair or user is disabled."): false,
		saying(t, "NOPERM this user has no permissions to run the 'ping' command"): false,
		saying(t, "ERR something that nobody has heard of"):                        false,
	} {
		client, err := redisconn.New(redisconn.Options{Addresses: []string{addr}})
		if err != nil {
			t.Fatal(err)
		}
		if err := RequireUp(t.Context(), client, Needs{}); err == nil || errors.Is(err, ErrAway) != away {
			t.Errorf("away must be %v: %v", away, err)
		}
		client.Close()
	}
}
