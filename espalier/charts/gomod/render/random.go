package main

import (
	"errors"
	_ "unsafe" // for the link to sprig's table

	_ "github.com/Masterminds/sprig/v3"
	"k8s.io/client-go/dynamic"
)

const randomMark = "espalier: not the same twice: "

// sprigFunctions is the table that sprig builds every function map from. Helm offers no way to leave a function out,
// and two renders alone would not find a date, which differs only tomorrow.
//
//go:linkname sprigFunctions github.com/Masterminds/sprig/v3.genericMap
var sprigFunctions map[string]any

// Functions that answer differently from one render to the next.
var changing = []string{
	"ago", "bcrypt", "encryptAES", "genCA", "genCAWithKey", "genPrivateKey", "genSelfSignedCert",
	"genSelfSignedCertWithKey", "genSignedCert", "genSignedCertWithKey", "htpasswd", "now", "randAlpha",
	"randAlphaNum", "randAscii", "randBytes", "randInt", "randNumeric", "shuffle", "uuidv4",
}

func init() {
	for _, name := range changing {
		if _, known := sprigFunctions[name]; !known {
			panic("sprig has no function " + name)
		}
		sprigFunctions[name] = func(...any) (string, error) { return "", errors.New(randomMark + name) }
	}
}

// noCluster makes `lookup` fail: what it finds differs from cluster to cluster and from day to day.
type noCluster struct{}

func (noCluster) GetClientFor(string, string) (dynamic.NamespaceableResourceInterface, bool, error) {
	return nil, false, errors.New(randomMark + "lookup")
}
