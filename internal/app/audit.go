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
	a.record.Store(a.audit)
	a.logins = audit.NewRefusals(a.audit)
	a.later(func() { a.logged("closing the audit record", a.closeAudit()) })
	if err := a.daemon.Audit(a.audit.Stats); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}

// noteTaken records that changed credentials, of the daemon or of those it
// believes, count from now on.
func (a *App) noteTaken(what string) {
	// A record that can't be written has been told and counted; the credentials count
	// nevertheless, since a revoked one must not be good for as long.
	_ = a.record.Load().Note(audit.Record{Action: "credentials.reload", Detail: map[string]string{"what": what}})
}

// closeAudit writes that the daemon stops, when nothing can be changed any more.
func (a *App) closeAudit() error {
	if a.audit == nil {
		return nil
	}
	a.logins.Close()
	return a.audit.Close()
}
