package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"greenlane/internal/identity"
	"greenlane/internal/pki"
)

func pkiCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pki",
		Short: "Make certificates and tokens for trying mutual TLS",
		Long: `pki keeps a directory with a small authority of its own: for trying mutual TLS and
tokens, and for tests. A call centre's own authority is for a call centre's daemon.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(pkiDevCommand(), pkiCertCommand(), pkiTokenCommand(), pkiServerCommand(), pkiRevokeCommand())
	return cmd
}

// pkiFlags are what the commands of pki have in common.
type pkiFlags struct {
	dir   string
	lasts time.Duration
	sites []string
	hosts []string
}

const (
	pkiLasts = 30 * 24 * time.Hour
	pkiMost  = 10 * 365 * 24 * time.Hour
)

func (f *pkiFlags) register(cmd *cobra.Command, lasts bool) {
	fl := cmd.Flags()
	fl.StringVar(&f.dir, "dir", "pki", "`directory` of the authority")
	if lasts {
		fl.DurationVar(&f.lasts, "for", pkiLasts, "`time` that what is made lasts")
	}
}

func (f *pkiFlags) registerSites(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&f.sites, "site", []string{"main"}, "`name` of a site; may be given more than once")
}

func (f *pkiFlags) registerHosts(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&f.hosts, "host", []string{"localhost", "127.0.0.1", "::1"}, "`name` or address of the daemon; may be given more than once")
}

func (f *pkiFlags) open() (pki.Dir, error) {
	if f.lasts < time.Minute || f.lasts > pkiMost {
		return pki.Dir{}, usageErrorf("--for: %v must be between 1m and %v", f.lasts, pkiMost)
	}
	return pki.Dir{Path: f.dir, Now: time.Now}, nil
}

func pkiDevCommand() *cobra.Command {
	f := pkiFlags{lasts: pkiLasts}
	cmd := &cobra.Command{
		Use:     "dev",
		Short:   "Make an authority, a daemon's certificate, and a certificate and a token per role",
		Example: "  greenlane pki dev\n  greenlane pki dev --dir /tmp/pki --host greenlane.lab.example",
		Args:    cobra.NoArgs,
	}
	f.register(cmd, true)
	f.registerSites(cmd)
	f.registerHosts(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		d, err := f.open()
		if err != nil {
			return err
		}
		if err := d.Make(f.lasts, f.sites, f.hosts...); err != nil {
			return err
		}
		printPKI(cmd, f.dir)
		return nil
	}
	return cmd
}

// printPKI says what was made and what to try next.
func printPKI(cmd *cobra.Command, dir string) {
	out := cmd.OutOrStdout()
	in := func(name string) string { return filepath.Join(dir, name) }
	fmt.Fprintf(out, "Made %s, with the files of:\n", dir)
	for _, c := range pki.Clients() {
		fmt.Fprintf(out, "  %-12s %s\n", c.File, c.About)
	}
	fmt.Fprintf(out, `
Start the daemon:
  greenlaned --config %[1]s

Ask it something, as the supervisor, and as the switch, who may not:
  greenlane call list --tls-ca %[2]s --tls-cert %[3]s --tls-key %[4]s
  greenlane call list --tls-ca %[2]s --token-file %[5]s
  grpcurl -cacert %[2]s -cert %[3]s -key %[4]s 127.0.0.1:7316 greenlane.v1.SupervisorService/GetSnapshot

The wallboard is at https://localhost:7317, with the token in %[6]s.
`, in("greenlaned.yaml"), in("ca.crt"), in("supervisor.crt"), in("supervisor.key"), in("switch.token"), in("supervisor.token"))
}

// roleFlags say for whom something is made.
type roleFlags struct {
	roles []string
	name  string
}

func (r *roleFlags) register(cmd *cobra.Command, several bool) {
	what := "`role`: " + strings.Join(identity.Names(), ", ")
	if several {
		what += "; may be given more than once"
	}
	cmd.Flags().StringSliceVar(&r.roles, "role", nil, what)
	cmd.Flags().StringVar(&r.name, "name", "", "`name`: of a switch its switch_id, of an agent the agent_id")
}

func (r *roleFlags) read() (identity.Role, error) {
	var out identity.Role
	for _, name := range r.roles {
		role, ok := identity.ParseRole(name)
		if !ok {
			return 0, usageErrorf("--role: %q is unknown: one of %s is allowed", name, strings.Join(identity.Names(), ", "))
		}
		out |= role
	}
	if out == 0 {
		return 0, usageErrorf("--role: one of %s must be given", strings.Join(identity.Names(), ", "))
	}
	if r.name == "" {
		return 0, usageErrorf("--name: must be given")
	}
	return out, nil
}

func pkiCertCommand() *cobra.Command {
	f := pkiFlags{lasts: pkiLasts}
	var r roleFlags
	cmd := &cobra.Command{
		Use:     "cert FILE",
		Short:   "Issue a client's certificate: FILE.crt and FILE.key in the directory",
		Example: "  greenlane pki cert pbx-2 --role switch --name pbx-2",
		Args:    cobra.ExactArgs(1),
	}
	f.register(cmd, true)
	f.registerSites(cmd)
	r.register(cmd, false)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		role, err := r.read()
		if err != nil {
			return err
		}
		if len(r.roles) != 1 || r.name == identity.AnyName || strings.Contains(r.name, "/") {
			return usageErrorf("--role and --name: a certificate has one role and one name without '/'; a token may have more")
		}
		if args[0] != filepath.Base(args[0]) {
			return usageErrorf("%q: a name without a directory is allowed", args[0])
		}
		d, err := f.open()
		if err != nil {
			return err
		}
		return d.Certificate(args[0], f.lasts, role, r.name, f.sites)
	}
	return cmd
}

func pkiTokenCommand() *cobra.Command {
	f := pkiFlags{lasts: pkiLasts}
	var r roleFlags
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Sign a token and print it",
		Long: `token signs a bearer token with the directory's key and prints it. The name * acts
under every name that its roles allow, as a gateway of softphones does, and the site *
stands for all.`,
		Example: "  greenlane pki token --role agent --name 7002 --for 8h >7002.token",
		Args:    cobra.NoArgs,
	}
	f.register(cmd, true)
	f.registerSites(cmd)
	r.register(cmd, true)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		role, err := r.read()
		if err != nil {
			return err
		}
		d, err := f.open()
		if err != nil {
			return err
		}
		token, err := d.Token(pki.Token{Name: r.name, Roles: role, Sites: f.sites, Until: d.Now().Add(f.lasts)})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
		return err
	}
	return cmd
}

func pkiServerCommand() *cobra.Command {
	f := pkiFlags{lasts: pkiLasts}
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Issue the daemon a new certificate, which it takes without a restart",
		Args:  cobra.NoArgs,
	}
	f.register(cmd, true)
	f.registerHosts(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		d, err := f.open()
		if err != nil {
			return err
		}
		return d.Server(f.lasts, f.hosts...)
	}
	return cmd
}

func pkiRevokeCommand() *cobra.Command {
	f := pkiFlags{lasts: pkiLasts}
	var name string
	cmd := &cobra.Command{
		Use:   "revoke [FILE]",
		Short: "Take back a certificate, a token, or all tokens of a name",
		Long: `revoke puts the certificate or the token of a file, or with --name every token that
was issued to a name so far, on the directory's lists, which the daemon takes without a
restart.`,
		Example: "  greenlane pki revoke pki/switch.crt\n  greenlane pki revoke pki/switch.token\n  greenlane pki revoke --name 7001",
		Args:    cobra.MaximumNArgs(1),
	}
	f.register(cmd, false)
	cmd.Flags().StringVar(&name, "name", "", "`name` whose tokens are taken back")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		d, err := f.open()
		if err != nil {
			return err
		}
		if (name == "") == (len(args) == 0) {
			return usageErrorf("either a file or --name must be given")
		}
		if name != "" {
			return d.RevokeName(name)
		}
		text, err := os.ReadFile(args[0])
		if err != nil {
			return usageError{err}
		}
		if bytes.Contains(text, []byte("-----BEGIN ")) {
			return d.Revoke(args[0])
		}
		if err := d.RevokeToken(string(text)); err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		return nil
	}
	return cmd
}
