# Builds Go itself: the builder of `buildGo` in go.hb, in whose words it is told
# what to do ($source, $bootstrap, $target) and where to put it ($out, $dist and the
# variable that $target names).

export HOME=/build/home GOCACHE=/build/cache
mkdir -p "$HOME"

cp -R "$source" /build/go
chmod -R u+w /build/go
# Programs among the tests' data, some of them dynamically linked, are data here.
(shopt -s globstar && chmod -R a-x,a+X /build/go/**/testdata)
cd /build/go/src

export GOROOT_BOOTSTRAP="$bootstrap"
flags=()
if [ -n "$target" ]; then
  export GOOS=linux GOARCH="$target"
  flags=(-distpack)
fi

# CGO_ENABLED stays unset: with it, a "0" is written into a generated file and
# the binaries are no longer upstream's. Without a C compiler cgo is off anyway.
bash ./make.bash "${flags[@]}"
cd /build/go

if [ -n "$target" ]; then
  mkdir "$dist"
  mv pkg/distpack/*.tar.gz "$dist"
  # The release archive is the one tree that holds just what runs on the target.
  mkdir "${!target}"
  tar -xzf "$dist"/go*."linux-$target.tar.gz" -C "${!target}" --strip-components=1
  rm -rf "bin/linux_$target" "pkg/linux_$target" "pkg/tool/linux_$target"
fi
rm -rf pkg/bootstrap pkg/distpack pkg/obj
mv /build/go "$out"
