package bulk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"greenlane/tiering"
)

// blockSize is how much is read and parsed at a time.
const blockSize = 256 << 10

// block is some whole lines, and then what they came to.
type block struct {
	text  []byte
	at    Position // of the first line
	long  bool     // it stands for one line that is too long, and text is empty
	batch Batch
	done  chan struct{}
}

// Read reads from a place between two lines (Start, or a Batch's End) to the
// file's end, and has emit called with every batch in the order of the file. The
// batch is emit's until it returns. The error is emit's, the source's or ctx's.
func (r *Reader) Read(ctx context.Context, from Position, emit func(*Batch) error) error {
	src, err := r.skip(from)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	blocks := &sync.Pool{New: func() any { return &block{text: make([]byte, 0, blockSize)} }}
	work, order := make(chan *block), make(chan *block, 2*r.o.Workers)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	var failed error
	running.Go(func() {
		defer close(order)
		defer close(work)
		failed = r.cut(ctx, src, from, blocks, func(b *block) bool {
			b.done = make(chan struct{})
			select {
			case order <- b:
			case <-ctx.Done():
				return false
			}
			select {
			case work <- b:
				return true
			case <-ctx.Done():
				close(b.done)
				return false
			}
		})
	})
	for range r.o.Workers {
		running.Go(func() {
			p := newParser(r)
			for b := range work {
				p.parse(b)
				close(b.done)
			}
		})
	}
	for b := range order {
		<-b.done
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := emit(&b.batch); err != nil {
			return err
		}
		blocks.Put(b)
	}
	// order was closed after failed was set.
	return errors.Join(failed, ctx.Err())
}

// skip returns the source from the given place on.
func (r *Reader) skip(from Position) (io.Reader, error) {
	src := io.MultiReader(bytes.NewReader(r.begun), r.src)
	switch gap := from.Offset - r.start.Offset; {
	case gap < 0:
		return nil, fmt.Errorf("byte %d lies within the header", from.Offset)
	case gap > 0:
		if n, err := io.CopyN(io.Discard, src, gap); err != nil {
			return nil, fmt.Errorf("the file ends at byte %d, before byte %d from which to go on: %w", r.start.Offset+n, from.Offset, err)
		}
	}
	return src, nil
}

// cut reads the source and gives whole lines to give, until that returns false.
func (r *Reader) cut(ctx context.Context, src io.Reader, at Position, blocks *sync.Pool, give func(*block) bool) error {
	var rest []byte // the start of a line whose end has not been read
	skipping := false
	for {
		b := blocks.Get().(*block)
		b.text, b.at, b.long = append(b.text[:0], rest...), at, false
		n, err := io.ReadFull(src, b.text[len(b.text):blockSize])
		b.text = b.text[:len(b.text)+n]
		ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !ended {
			return err
		}
		if skipping {
			size := bytes.IndexByte(b.text, '\n') + 1
			if size == 0 && !ended {
				at.Offset += int64(len(b.text))
				rest = rest[:0]
				continue
			}
			if size == 0 {
				size = len(b.text)
			}
			at = Position{at.Offset + int64(size), at.Line + 1}
			long := &block{at: Position{at.Offset, at.Line - 1}, long: true}
			if !give(long) {
				return ctx.Err()
			}
			b.text, b.at, skipping = append(b.text[:0], b.text[size:]...), at, false
		}
		whole := bytes.LastIndexByte(b.text, '\n') + 1
		if ended {
			whole = len(b.text)
		}
		rest = append(rest[:0], b.text[whole:]...)
		if len(rest) > MaxLine {
			skipping = true
		}
		b.text = b.text[:whole]
		at.Offset += int64(whole)
		at.Line += int64(bytes.Count(b.text, []byte("\n")))
		if len(b.text) > 0 && b.text[len(b.text)-1] != '\n' {
			at.Line++
		}
		if len(b.text) > 0 && !give(b) || ended {
			return ctx.Err()
		}
	}
}

// parser parses blocks, with memory of its own.
type parser struct {
	r      *Reader
	fields [][]byte
	starts []int
	values []float64 // a customer's figures
}

func newParser(r *Reader) *parser {
	p := &parser{r: r}
	if g := r.o.Grading; g != nil {
		p.values = make([]float64, len(g.Factors))
	}
	return p
}

func (p *parser) parse(b *block) {
	out := &b.batch
	*out = Batch{Changes: out.Changes[:0], Lines: out.Lines[:0], Faults: out.Faults[:0], End: b.at}
	if b.long {
		out.Faults = append(out.Faults, Fault{Line: b.at.Line + 1, Err: fmt.Errorf("it is longer than %d bytes", MaxLine)})
		out.End.Line++
		return
	}
	for text := b.text; len(text) > 0; {
		line, rest, ended := bytes.Cut(text, []byte("\n"))
		out.End.Line++
		out.End.Offset += int64(len(text) - len(rest))
		out.CutOff = !ended
		text = rest
		p.line(out, trimEnd(line))
	}
}

// line parses one line; an empty one is nothing.
func (p *parser) line(out *Batch, line []byte) {
	if len(bytes.TrimSpace(line)) == 0 {
		return
	}
	var c tiering.Change
	fault := Fault{Err: fmt.Errorf("it is longer than %d bytes", MaxLine)}
	ok := false
	switch {
	case len(line) > MaxLine:
	case p.r.o.JSON && p.r.o.Grading != nil:
		c, fault, ok = p.customer(line)
	case p.r.o.JSON:
		c, fault, ok = p.object(line)
	default:
		c, fault, ok = p.record(line)
	}
	if ok {
		c.Op, c.At = tiering.OpGrade, p.r.o.At
		if c.Ends == 0 {
			c.Ends = p.r.o.Ends
		}
		if err := c.Check(); err != nil {
			ok, fault = false, Fault{Err: err}
		}
	}
	if !ok {
		fault.Line = out.End.Line
		out.Faults = append(out.Faults, fault)
		return
	}
	out.Changes = append(out.Changes, c)
	out.Lines = append(out.Lines, out.End.Line)
}
