package redisq

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"

	"greenlane/queue"
	"greenlane/queue/record"
)

// span is a part of a buffer, which may move while it grows.
type span struct{ from, to int }

// outgoing is what one commit writes, encoded, so that the records may change as
// soon as it is built.
type outgoing struct {
	records record.Encoder
	buf     bytes.Buffer
	sets    [len(kinds)][]put
	gone    [len(kinds)][]span
	aside   []damage // to be moved to the damaged ones
	packed  []byte   // the fields by kind, as scripts read them
	meta    []byte
	events  []byte
	last    uint64 // event; zero: there are none
	number  int    // of fields
}

type put struct{ field, value span }

// damage is a record that could not be read.
type damage struct {
	kind  record.Kind
	field string
	raw   string
	at    uint64 // the version that it was found in
}

// name is where it goes. The version keeps it apart from what was found there before.
func (d *damage) name() string { return fmt.Sprintf("%s %s at %d", d.kind, d.field, d.at) }

// keepBytes is how large a buffer may be to be used again.
const keepBytes = 4 << 20

func (o *outgoing) reset() {
	if o.buf.Cap() > keepBytes {
		o.buf = bytes.Buffer{}
	}
	o.buf.Reset()
	for k := range kinds {
		o.sets[k], o.gone[k] = o.sets[k][:0], o.gone[k][:0]
	}
	o.aside, o.packed, o.meta, o.events, o.last, o.number = nil, nil, nil, nil, 0, 0
}

// fieldOf writes what a record is named by.
func (o *outgoing) fieldOf(k record.Key) span {
	from := o.buf.Len()
	o.buf.Write(appendField(o.buf.AvailableBuffer(), k))
	return span{from, o.buf.Len()}
}

func (o *outgoing) bytes(s span) []byte { return o.buf.Bytes()[s.from:s.to] }

// encode takes up what a machine's commands changed.
func (o *outgoing) encode(c *queue.Changes) error {
	err := record.Put(c, func(k record.Key, r any) error {
		field := o.fieldOf(k)
		if err := o.records.Append(&o.buf, k.Kind, o.bytes(field), r); err != nil {
			return fmt.Errorf("encode %s %s: %w", k.Kind, o.bytes(field), err)
		}
		place := placeOf[k.Kind]
		o.sets[place] = append(o.sets[place], put{field, span{field.to, o.buf.Len()}})
		o.number++
		return nil
	}, func(k record.Key) {
		place := placeOf[k.Kind]
		o.gone[place] = append(o.gone[place], o.fieldOf(k))
		o.number++
	})
	if err != nil {
		return err
	}
	return o.close(c)
}

// again takes up a record that is to be kept as it is, sealed anew.
func (o *outgoing) again(k int, field, body []byte) {
	from := o.buf.Len()
	o.buf.Write(field)
	at := o.buf.Len()
	o.records.Again(&o.buf, kinds[k], field, body)
	o.sets[k] = append(o.sets[k], put{span{from, at}, span{at, o.buf.Len()}})
	o.number++
}

// close adds what a commit has beside its records. Nothing is written to the
// buffer after it.
func (o *outgoing) close(c *queue.Changes) error {
	meta := o.buf.Len()
	if err := o.records.Append(&o.buf, record.Meta, []byte(record.Meta.String()), &c.Meta); err != nil {
		return fmt.Errorf("encode meta: %w", err)
	}
	events := o.buf.Len()
	for i := range c.Events {
		if err := record.Marshal(&o.buf, &c.Events[i]); err != nil {
			return fmt.Errorf("encode event %d: %w", c.Events[i].Seq, err)
		}
		o.last = c.Events[i].Seq
	}
	packed := o.buf.Len()
	o.pack()
	all := o.buf.Bytes()
	o.meta, o.events, o.packed = all[meta:events:events], all[events:packed:packed], all[packed:]
	return nil
}

// pack writes the fields by kind in MessagePack: an array of arrays of texts.
func (o *outgoing) pack() {
	o.array(len(kinds))
	for k := range kinds {
		o.array(len(o.sets[k]) + len(o.gone[k]))
		for _, p := range o.sets[k] {
			o.text(p.field)
		}
		for _, s := range o.gone[k] {
			o.text(s)
		}
	}
}

// noFields is what pack writes of a commit that changes no record.
func noFields() []byte {
	var none outgoing
	none.pack()
	return none.buf.Bytes()
}

func (o *outgoing) array(n int) {
	if n < 16 {
		o.buf.WriteByte(0x90 | byte(n))
		return
	}
	o.buf.WriteByte(0xdd)
	o.buf.Write(binary.BigEndian.AppendUint32(o.buf.AvailableBuffer(), uint32(n)))
}

func (o *outgoing) text(s span) {
	if n := s.to - s.from; n < 32 {
		o.buf.WriteByte(0xa0 | byte(n))
	} else {
		o.buf.WriteByte(0xdb)
		o.buf.Write(binary.BigEndian.AppendUint32(o.buf.AvailableBuffer(), uint32(n)))
	}
	o.buf.Write(o.bytes(s))
}

// writes appends what commit.lua writes, key by key.
func (o *outgoing) writes(args []any) []any {
	if len(o.aside) > 0 {
		args = append(args, strconv.Itoa(keyDamaged+1), strconv.Itoa(2*len(o.aside)), "0")
		for _, d := range o.aside {
			args = append(args, d.name(), d.raw)
		}
	}
	for k := range kinds {
		sets, gone := o.sets[k], o.gone[k]
		if len(sets)+len(gone) == 0 {
			continue
		}
		args = append(args, strconv.Itoa(keyKinds+k+1), strconv.Itoa(2*len(sets)), strconv.Itoa(len(gone)))
		for _, p := range sets {
			args = append(args, o.bytes(p.field), o.bytes(p.value))
		}
		for _, s := range gone {
			args = append(args, o.bytes(s))
		}
	}
	return args
}
