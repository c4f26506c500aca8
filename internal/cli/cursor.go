package cli

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// cursor is how far a reader of the log has come, as its file says it.
type cursor struct {
	Site     string    `json:"site"`
	Format   string    `json:"format"`
	Sequence uint64    `json:"sequence"`        // of the last event that was written
	Bytes    int64     `json:"bytes,omitempty"` // how long the --to file was after it
	QueueLog *queueLog `json:"queue_log,omitempty"`
}

// loadCursor reads a cursor file; one that is not there begins at `after`.
func loadCursor(name, site, format string, after uint64) (*cursor, error) {
	begin := &cursor{Site: site, Format: format, Sequence: after}
	if name == "" {
		return begin, nil
	}
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Dir(name)); err != nil {
			return nil, usagef("--cursor: %w", err) // now, and not after the first lines
		}
		return begin, nil
	}
	if err != nil {
		return nil, UsageError{err}
	}
	c := &cursor{}
	if err := json.Unmarshal(text, c); err != nil {
		return nil, usagef("--cursor: %s is no cursor file: %w; name another, or remove it to begin anew", name, err)
	}
	if c.Site != site || c.Format != format {
		return nil, usagef("--cursor: %s belongs to site %q in the format %q; use another file for another site or format", name, c.Site, c.Format)
	}
	return c, nil
}

func (c *cursor) save(name string) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return replaceFile(name, func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	})
}

// openOutput opens the file that lines are appended to. What is in it beyond the
// cursor was written by a run that was killed before it could say so, and comes
// again: it is cut off. A file that is shorter has been rotated.
func (c *cursor) openOutput(name string, resumed bool) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, UsageError{err}
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err == nil && resumed && size > c.Bytes {
		size = c.Bytes
		err = f.Truncate(size)
	}
	if err == nil {
		_, err = f.Seek(size, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	c.Bytes = size
	return f, nil
}
