package config

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestPasswordsComeFromTheFileAFileOrTheEnvironment(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(envRedisPassword, "from the environment")
	t.Setenv(envSentinelPassword, "the watcher's")
	for want, r := range map[string]Redis{
		"from a file": {PasswordFile: file}, "from the environment": {}, "said": {Password: "said"},
	} {
		o, err := r.Options()
		if err != nil || o.Password != want || o.SentinelPassword != "the watcher's" {
			t.Errorf("%+v: %q, %q, %v; want %q", r, o.Password, o.SentinelPassword, err, want)
		}
	}
	if err := os.WriteFile(file, []byte("two\nlines\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (Redis{PasswordFile: file}).Options(); err == nil {
		t.Error("a password of two lines is accepted")
	}
}

func TestTheRedisSettingsArriveWhereConnectionsAreMade(t *testing.T) {
	o, err := load(t, "testdata/good/full.yaml", Flags{}).Redis.Options()
	if err != nil {
		t.Fatal(err)
	}
	if o.Kind() != "sentinel" || o.Username != "daemon" || o.Password != "secret" || o.SentinelUsername != "watcher" ||
		o.DialTimeout != time.Second || o.ReplyTimeout != 500*time.Millisecond || o.PoolSize != 10 || o.TLS != nil {
		t.Errorf("%+v", o)
	}
	if o, err = (Redis{TLS: RedisTLS{Enabled: true, ServerName: "redis.example"}}).Options(); err != nil || o.TLS == nil || o.TLS.ServerName != "redis.example" {
		t.Errorf("%+v, %v", o, err)
	}
}
