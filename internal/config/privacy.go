package config

import (
	"errors"
	"fmt"

	"greenlane/internal/seal"
)

// Privacy says with which keys callers' data is encrypted where it is stored.
// Without keys it is stored as it is.
type Privacy struct {
	// IndexKeyFile holds the key of the indexes.
	IndexKeyFile string `yaml:"index_key_file"`
	// OldIndexKeyFile holds the index key before it: what was indexed with that is
	// indexed anew.
	OldIndexKeyFile string `yaml:"old_index_key_file"`
	// Keys encrypt: the first what is stored from now on; the others only open what
	// they have encrypted.
	Keys []PrivacyKey `yaml:"keys"`
}

// PrivacyKey is one key. The id is stored beside what it has encrypted.
type PrivacyKey struct {
	ID      string `yaml:"id"`
	KeyFile string `yaml:"key_file"`
}

// On reports whether anything is encrypted.
func (p Privacy) On() bool { return len(p.Keys) > 0 }

// Secrets reads the keys; nil when there are none. The error joins every fault and
// names files and ids, never a key.
func (p Privacy) Secrets() (*seal.Keys, error) {
	if !p.On() {
		if p.IndexKeyFile != "" || p.OldIndexKeyFile != "" {
			return nil, errors.New("privacy.keys: at least one key is needed beside index_key_file")
		}
		return nil, nil
	}
	var faults []error
	read := func(where, file string) (s seal.Secret) {
		if file == "" {
			faults = append(faults, fmt.Errorf("%s: must name a file", where))
			return s
		}
		text, err := readFile(file)
		if err == nil {
			s, err = seal.ParseSecret(text)
			if err != nil {
				err = fmt.Errorf("%s: %w", file, err)
			}
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", where, err))
		}
		return s
	}
	index := read("privacy.index_key_file", p.IndexKeyFile)
	var old seal.Secret
	if p.OldIndexKeyFile != "" {
		old = read("privacy.old_index_key_file", p.OldIndexKeyFile)
	}
	list := make([]seal.Key, len(p.Keys))
	for i, k := range p.Keys {
		list[i] = seal.Key{ID: k.ID, Secret: read(fmt.Sprintf("privacy.keys[%d].key_file", i), k.KeyFile)}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	keys, err := seal.New(index, list)
	if err != nil {
		for _, err := range split(err) {
			faults = append(faults, fmt.Errorf("privacy.keys: %w", err))
		}
		return nil, errors.Join(faults...)
	}
	if p.OldIndexKeyFile == "" {
		return keys, nil
	}
	if keys, err = keys.Replacing(old); err != nil {
		return nil, fmt.Errorf("privacy.old_index_key_file: %w", err)
	}
	return keys, nil
}
