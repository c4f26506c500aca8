package main

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	pb "greenlane/proto/greenlane/v1"
)

func TestTheCollectorsTraceIsRead(t *testing.T) {
	g := new(gcTrace)
	text := "greenlaned serves\n" +
		"gc 1 @0.011s 2%: 0.02+0.5+0.01 ms clock, 0.04+0.1/0.4/0+0.02 ms cpu, 3->4->1 MB, 4 MB goal, 0 MB stacks, 0 MB globals, 2 P\n" +
		"gc 2 @9.1s 3%: 0.02+0.5+0.01 ms clock, 0.04+0.1/0.4/0+0.02 ms cpu, 1400->1500->776 MB, 1560 MB goal, 1 MB stacks, 0 MB globals, 2 P (forced)\n" +
		"gc 3 @9.2s 3%: cut o"
	// However the lines are cut.
	for len(text) > 0 {
		n := min(len(text), 37)
		if _, err := g.Write([]byte(text[:n])); err != nil {
			t.Fatal(err)
		}
		text = text[n:]
	}
	if cycles, live := g.now(); cycles != 2 || live != 776<<20 {
		t.Errorf("%d cycles, %d bytes live", cycles, live)
	}
}

func TestTheEchoAnswersAsManyBytes(t *testing.T) {
	for size := 60; size < 400; size++ {
		m := padded(size, func(c *pb.Call) proto.Message { return &pb.CallArrivedResponse{Call: c} })
		// Where a length needs one more byte, one size cannot be met.
		if got := proto.Size(m); got != size && got != size+1 {
			t.Errorf("%d bytes, want %d", got, size)
		}
	}
}

func TestChoosing(t *testing.T) {
	all, err := choose("")
	if err != nil || len(all) != len(measurements) {
		t.Errorf("everything is %d measurements: %v", len(all), err)
	}
	two, err := choose("restart, core")
	if err != nil || len(two) != 2 || two[0].name != "restart" || two[1].name != "core" {
		t.Errorf("%v, %v", two, err)
	}
	if _, err := choose("speed"); err == nil || !strings.Contains(err.Error(), "throughput") {
		t.Errorf("the error is %v", err)
	}
}

func TestTheCoreIsMeasuredOnALineThatStaysAsItIs(t *testing.T) {
	c, err := newCore(100, 2100)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.live(1000); err != nil {
		t.Fatal(err)
	}
	waiting := 0
	for _, tier := range c.m.Snapshot(c.now).Queues[0].Tiers {
		waiting += tier.Waiting
	}
	if waiting != 100 {
		t.Errorf("%d calls wait after 1,000 came and went, 100 before", waiting)
	}
}
