package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	pb "greenlane/proto/greenlane/v1"
)

// echoServer answers a switch's requests with as many bytes as the daemon does,
// and does nothing else.
type echoServer struct {
	pb.UnimplementedSwitchServiceServer
	arrived   *pb.CallArrivedResponse
	abandoned *pb.CallAbandonedResponse
}

func (s *echoServer) CallArrived(context.Context, *pb.CallArrivedRequest) (*pb.CallArrivedResponse, error) {
	return s.arrived, nil
}

func (s *echoServer) CallAbandoned(context.Context, *pb.CallAbandonedRequest) (*pb.CallAbandonedResponse, error) {
	return s.abandoned, nil
}

// padded returns a call whose message has a size: its fields are those of an
// answer, the rest is text.
func padded(size int, wrap func(*pb.Call) proto.Message) proto.Message {
	c := &pb.Call{CallId: "switch-00-100000", Site: "main", SwitchId: "switch-00", Queue: "default"}
	for n := range size {
		c.Reason = strings.Repeat("x", n)
		if proto.Size(wrap(c)) >= size {
			break
		}
	}
	return wrap(c)
}

// echoChild serves the echo until its standard input ends: with its parent.
func echoChild(args []string) error {
	var size [2]int
	for i := range size {
		var err error
		if size[i], err = strconv.Atoi(args[i]); err != nil {
			return err
		}
	}
	s := &echoServer{
		arrived:   padded(size[0], func(c *pb.Call) proto.Message { return &pb.CallArrivedResponse{Call: c} }).(*pb.CallArrivedResponse),
		abandoned: padded(size[1], func(c *pb.Call) proto.Message { return &pb.CallAbandonedResponse{Call: c} }).(*pb.CallAbandonedResponse),
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := grpc.NewServer()
	pb.RegisterSwitchServiceServer(srv, s)
	fmt.Println(l.Addr())
	go func() {
		_, _ = bufio.NewReader(os.Stdin).ReadString(0)
		srv.Stop()
	}()
	return srv.Serve(l)
}

// echo is a running echo service.
type echo struct {
	cmd  *exec.Cmd
	in   interface{ Close() error }
	addr string
}

func startEcho(ctx context.Context, b *bench, s sizes) (*echo, error) {
	cmd := exec.CommandContext(ctx, b.self, "child-echo", strconv.Itoa(s.arrived), strconv.Itoa(s.abandoned))
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	e := &echo{cmd: cmd, in: in}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the echo service does not start: %w", err), e.stop())
	}
	e.addr = strings.TrimSpace(line)
	return e, nil
}

func (e *echo) stop() error { return errors.Join(e.in.Close(), e.cmd.Wait()) }
