package config

import "testing"

func TestPrivacyKeys(t *testing.T) {
	c := load(t, "testdata/good/privacy.yaml", Flags{})
	keys, err := c.Privacy.Secrets()
	if err != nil || !c.Privacy.On() || keys.Current() != "k1" {
		t.Fatal(keys, err)
	}
	if keys, err := load(t, "", Flags{}).Privacy.Secrets(); keys != nil || err != nil {
		t.Errorf("without a file: %v, %v", keys, err)
	}
}
