package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// bbolt maps its file into memory and trusts it: a page that lies beyond the
// end of a truncated file kills the process when it is touched. So the header
// is read first, the plain way.

// The two meta pages of a bbolt file, version 2, as far as they are needed:
// after the 16 bytes of a page's own header follow, in the machine's byte order,
// magic, version, page size and flags (4 bytes each), root page and sequence,
// free list page, number of pages in use, transaction (8 bytes each), and an
// FNV-1a sum over all of it.
const (
	pageHeaderBytes = 16
	metaBytes       = 56
	metaMagic       = 0xED0CDAED
	metaVersion     = 2
	maxPageSize     = 64 << 10
)

type meta struct {
	pageSize uint32
	pages    uint64 // in use: the file is at least so long
	tx       uint64
}

func readMeta(page []byte) (meta, bool) {
	if len(page) < pageHeaderBytes+metaBytes+8 {
		return meta{}, false
	}
	b, order := page[pageHeaderBytes:], binary.NativeEndian
	sum := fnv.New64a()
	sum.Write(b[:metaBytes])
	m := meta{pageSize: order.Uint32(b[8:]), pages: order.Uint64(b[40:]), tx: order.Uint64(b[48:])}
	ok := order.Uint32(b) == metaMagic && order.Uint32(b[4:]) == metaVersion &&
		order.Uint64(b[metaBytes:]) == sum.Sum64() && m.pageSize >= 1024 && m.pageSize <= maxPageSize
	return m, ok
}

// checkHeader returns an error when the file at path can't be a whole database.
func checkHeader(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	head := make([]byte, 2*maxPageSize)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	newest, found := newestMeta(head[:n])
	if !found {
		return errors.New("it is no Greenlane database, or its beginning is damaged")
	}
	if need := newest.pages * uint64(newest.pageSize); uint64(info.Size()) < need {
		return fmt.Errorf("it is truncated: it has %d KiB and should have at least %d", info.Size()>>10, need>>10)
	}
	return nil
}

func newestMeta(head []byte) (newest meta, found bool) {
	first, ok := readMeta(head)
	if ok {
		newest, found = first, true
	}
	for size := 1024; size <= maxPageSize && size < len(head); size *= 2 {
		second, ok := readMeta(head[size:])
		if ok && int(second.pageSize) == size && (!found || second.tx > newest.tx) {
			newest, found = second, true
		}
	}
	return newest, found
}
