package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"greenlane/internal/instant"
	"greenlane/tiering"
	"greenlane/tiering/bulk"
)

// checkpoint is what is noted of an import.
type checkpoint struct {
	Version int             `json:"version"`
	File    string          `json:"file"` // what it is of: fingerprint
	Site    string          `json:"site"`
	At      instant.Instant `json:"at"` // of the changes, the same in every run
	End     bulk.Position   `json:"end"`
	Good    int64           `json:"good"`
	Bad     int64           `json:"bad"`
	Moves   tiering.Moves   `json:"moves"`
	Done    bool            `json:"done"`
}

const checkpointVersion = 1

func loadCheckpoint(path string) (c checkpoint, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return c, fmt.Errorf("%s can't be read: %w", path, err)
	}
	if c.Version != checkpointVersion {
		return c, fmt.Errorf("%s is of version %d, and this program writes %d", path, c.Version, checkpointVersion)
	}
	return c, nil
}

// save replaces the file in one step, so that a crash leaves the old or the new.
func (c *checkpoint) save(path string) error {
	c.Version = checkpointVersion
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	part := path + ".part"
	f, err := os.OpenFile(part, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(part, path)
}

// fingerprintBytes is how much of the file's start and end a fingerprint takes in.
const fingerprintBytes = 64 << 10

// fingerprint tells a file, and a way of reading it, from others. It leaves the
// file at its start.
func fingerprint(f *os.File, size int64, flags *importFlags) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%d %v %v %q %v %s %s\n", size, flags.asJSON, flags.columns, flags.delimiter, flags.ignore, flags.zone, flags.region)
	if flags.regrade {
		fmt.Fprintf(h, "regrade %q %q\n", flags.preset, flags.expires)
	}
	for _, from := range []int64{0, max(0, size-fingerprintBytes)} {
		if _, err := io.Copy(h, io.NewSectionReader(f, from, fingerprintBytes)); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}
