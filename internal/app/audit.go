package app

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"greenlane/internal/audit"
)

// openAudit opens the record of changes. Its first record says with which
// configuration the daemon runs, passwords left out.
func (a *App) openAudit() error {
	if !a.cfg.Audit.Enabled {
		a.log.Warn("audit.enabled is false: nobody can tell later who changed what")
		return nil
	}
	opts, err := a.cfg.Audit.Options(a.cfg.Data)
	if err != nil {
		return err
	}
	text, err := a.cfg.YAML()
	if err != nil {
		return err
	}
	digest := sha256.Sum256(text)
	opts.Logger, opts.Now = a.log, a.opts.Now
	opts.Start = audit.Record{Action: audit.ActionStart, Detail: map[string]string{
		"version": VersionString(), "configuration": "sha256:" + hex.EncodeToString(digest[:]), "engine": a.cfg.Engine,
	}}
	opts.Stop = audit.Record{Action: audit.ActionStop}
	if a.audit, err = audit.Open(opts); err != nil {
		return fmt.Errorf("opening the audit record: %w", err)
	}
	a.logins = audit.NewRefusals(a.audit)
	a.later(func() { a.logged("closing the audit record", a.closeAudit()) })
	if err := a.daemon.Audit(a.audit.Stats); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}

// closeAudit writes that the daemon stops, when nothing can be changed any more.
func (a *App) closeAudit() error {
	if a.audit == nil {
		return nil
	}
	a.logins.Close()
	return a.audit.Close()
}
