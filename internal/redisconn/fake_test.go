package redisconn

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// fake is a server that speaks just enough of Redis to say which commands came,
// and breaks off instead of answering INCR. It says that all slots are with holder,
// and answers GET with that when it is another one.
type fake struct {
	listener net.Listener
	port     int
	holder   atomic.Int64

	mu  sync.Mutex
	got []string // commands with their arguments, upper case
}

func newFake(t *testing.T, wrap func(net.Listener) net.Listener) *fake {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{listener: wrap(l), port: l.Addr().(*net.TCPAddr).Port}
	f.holder.Store(int64(f.port))
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := f.listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { f.serve(c) })
		}
	})
	t.Cleanup(func() { f.listener.Close(); serving.Wait() })
	return f
}

func plain(l net.Listener) net.Listener { return l }

func (f *fake) addr() string { return fmt.Sprintf("127.0.0.1:%d", f.port) }

func (f *fake) commands() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.got...)
}

func (f *fake) count(command string) (n int) {
	for _, c := range f.commands() {
		if strings.HasPrefix(c, command) {
			n++
		}
	}
	return n
}

func (f *fake) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		args, err := readCommand(r)
		if err != nil {
			return
		}
		f.mu.Lock()
		f.got = append(f.got, strings.ToUpper(strings.Join(args, " ")))
		f.mu.Unlock()
		holder := int(f.holder.Load())
		switch strings.ToUpper(args[0]) {
		case "INCR":
			return
		case "GET":
			if holder == f.port {
				io.WriteString(c, "$-1\r\n")
			} else {
				fmt.Fprintf(c, "-MOVED 1 127.0.0.1:%d\r\n", holder)
			}
		case "HELLO":
			io.WriteString(c, "-ERR unknown command\r\n")
		case "CLUSTER":
			fmt.Fprintf(c, "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:%d\r\n", holder)
		default:
			io.WriteString(c, "+OK\r\n")
		}
	}
}

func readCommand(r *bufio.Reader) ([]string, error) {
	number := func(mark string) (int, error) {
		line, err := r.ReadString('\n')
		if err != nil {
			return 0, err
		}
		return strconv.Atoi(strings.TrimPrefix(strings.TrimSpace(line), mark))
	}
	n, err := number("*")
	if err != nil {
		return nil, err
	}
	args := make([]string, n)
	for i := range args {
		size, err := number("$")
		if err != nil {
			return nil, err
		}
		text := make([]byte, size+2)
		if _, err := io.ReadFull(r, text); err != nil {
			return nil, err
		}
		args[i] = string(text[:size])
	}
	return args, nil
}
