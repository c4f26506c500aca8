package app_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"greenlane/internal/app"
	"greenlane/internal/apptest"
	pb "greenlane/proto/greenlane/v1"
)

const webMessage = 1 << 20 // as docs/limits.md says

// TestAWebMessageOfTheSizeAllowedAndNotAByteMore, packed or not: what unpacks to more
// is not unpacked any further.
func TestAWebMessageOfTheSizeAllowedAndNotAByteMore(t *testing.T) {
	a := apptest.Start(t, configOf(t), app.Options{})
	for name, opts := range protocols {
		for _, packed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s packed=%v", name, packed), func(t *testing.T) {
				if packed {
					opts = append(opts[:len(opts):len(opts)], connect.WithSendGzip())
				}
				b := newBrowser(t, a, opts...)
				around := webMessage - len(`{"caller":""}`)
				if !strings.HasSuffix(name, "json") {
					around = webMessage - 4 // one byte of tag, three of length
				}
				sizes := map[int]connect.Code{around: connect.CodeInvalidArgument, around + 1: connect.CodeResourceExhausted}
				if packed {
					sizes[8*webMessage] = connect.CodeResourceExhausted
				}
				for bytes, want := range sizes {
					_, err := unary[pb.TierServiceLookupRequest, pb.TierServiceLookupResponse](b, "TierService/Lookup",
						&pb.TierServiceLookupRequest{Caller: strings.Repeat("1", bytes)})
					got := connect.CodeOf(err)
					if strings.Contains(fmt.Sprint(err), "resource_exhausted") {
						got = connect.CodeResourceExhausted // found while it was read: the transcoder wraps it
					}
					if got != want {
						t.Errorf("a number of %d digits: %v, want %v (%.200v)", bytes, got, want, err)
					}
				}
			})
		}
	}
}

// TestWhatIsLeftOfABodyIsNoRequest: what a refused client goes on to send is not taken
// for the next request on its connection, whatever it looks like.
func TestWhatIsLeftOfABodyIsNoRequest(t *testing.T) {
	a := apptest.Start(t, configOf(t), app.Options{})
	hidden := "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
	for name, head := range map[string]string{
		"one message": "Content-Type: application/json",
		"in frames":   "Content-Type: application/grpc-web+proto",
		"no message":  "Content-Type: application/whatever",
	} {
		for _, chunk := range []int{4 << 10, 4 << 20} {
			// A frame of 4 GiB is announced, or a megabyte of no JSON comes.
			body := "\x00\xff\xff\xff\xff" + strings.Repeat(hidden, 3<<20/len(hidden))
			c, err := net.Dial("tcp", a.HTTPAddr().String())
			if err != nil {
				t.Fatal(err)
			}
			go func() { // until it is cut off
				_, _ = io.WriteString(c, "POST /greenlane.v1.TierService/Lookup HTTP/1.1\r\nHost: localhost\r\n"+head+"\r\nTransfer-Encoding: chunked\r\n\r\n")
				for len(body) > 0 {
					n := min(chunk, len(body))
					if _, err := fmt.Fprintf(c, "%x\r\n%s\r\n", n, body[:n]); err != nil {
						return
					}
					body = body[n:]
				}
			}()
			answers, _ := io.ReadAll(c) // it may be reset
			_ = c.Close()
			if n := strings.Count(string(answers), "HTTP/1.1 "); n != 1 || strings.Contains(string(answers), "alive") {
				t.Errorf("%s, chunks of %d: %d answers: %.2000s", name, chunk, n, answers)
			}
		}
	}
}

// TestMessagesThatNeverComeTakeNoRoom: what large messages take that were announced is
// bounded over all requests, and free again when they have ended.
func TestMessagesThatNeverComeTakeNoRoom(t *testing.T) {
	a := apptest.Start(t, configOf(t), app.Options{})
	for name, head := range map[string]string{
		"one message": "Content-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{",
		"in frames":   "Content-Type: application/grpc-web+proto\r\nContent-Length: 1000005\r\n\r\n\x00\x00\x0f\x42\x40x",
		"in chunks":   "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nf0000\r\n" + strings.Repeat(" ", 0xf0000) + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			var open []net.Conn
			end := func() {
				for _, c := range open {
					_ = c.Close()
				}
			}
			defer end()
			answers := make(chan string, 100)
			ask := func() {
				c, err := net.Dial("tcp", a.HTTPAddr().String())
				if err != nil {
					t.Fatal(err)
				}
				open = append(open, c)
				if _, err := io.WriteString(c, "POST /greenlane.v1.TierService/Lookup HTTP/1.1\r\nHost: localhost\r\n"+head); err != nil {
					return // it was answered already
				}
				go func() {
					res, err := http.ReadResponse(bufio.NewReader(c), nil)
					if err != nil {
						return // closed by the test, or given up by the daemon
					}
					text, _ := io.ReadAll(res.Body)
					answers <- res.Status + " " + res.Header.Get("Grpc-Message") + string(text)
				}()
			}
			for range 24 {
				ask()
			}
			select {
			case got := <-answers:
				if !strings.Contains(got, "large messages") && !strings.Contains(got, "large%20messages") {
					t.Errorf("refused with %q", got)
				}
			case <-time.After(time.Minute):
				t.Fatal("none of 24 requests is refused")
			}
			end()
			b := newBrowser(t, a)
			large := &pb.TierServiceLookupRequest{Caller: strings.Repeat("1", webMessage-100)}
			deadline := time.Now().Add(time.Minute)
			for { // as soon as the daemon has noticed that they have gone
				_, err := unary[pb.TierServiceLookupRequest, pb.TierServiceLookupResponse](b, "TierService/Lookup", large)
				if connect.CodeOf(err) == connect.CodeInvalidArgument {
					return
				}
				if time.Now().After(deadline) {
					t.Fatal(err)
				}
			}
		})
	}
}
