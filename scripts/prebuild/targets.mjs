// The platforms that the package ships a binary for, and what the cross build has to know of each.
// As in binding.gyp.
const systems = {
  linux: {
    flags: [
      ...['-O2', '-fPIC', '-fstack-protector-strong', '-fno-asynchronous-unwind-tables'],
      ...['-D_GNU_SOURCE', '-D_FORTIFY_SOURCE=2'],
      ...['-Wl,-z,relro,-z,now', '-Wl,--build-id=none', '-Wl,--gc-sections'],
      // Hides what the run-time library inside would otherwise offer to others.
      '-Wl,--version-script=native/exports.map',
    ],
  },
  darwin: {
    flags: [
      // On arm64 the tables that are left out would be a page of 16 KB more.
      ...[
        '-Oz',
        '-fno-unwind-tables',
        '-fPIC',
        '-fstack-protector-strong',
        '-fno-asynchronous-unwind-tables',
      ],
      // Node-API is in the program that loads the addon.
      '-Wl,-undefined,dynamic_lookup',
      ...['-Wl,-dead_strip', '-Wl,-x', '-Wl,-install_name,@rpath/holdfast.node'],
    ],
  },
  win32: {
    flags: [
      // For size: the C++ run-time library is larger there.
      ...['-Os', '-DUNICODE', '-D_UNICODE', '-DNOMINMAX', '-DWIN32_LEAN_AND_MEAN'],
      ...['-Wl,--gc-sections', '-lntdll'],
      ...['-Wl,--major-os-version,10', '-Wl,--minor-os-version,0'],
      ...['-Wl,--major-subsystem-version,10', '-Wl,--minor-subsystem-version,0'],
    ],
  },
};

const triples = {
  'linux-x64.glibc': 'x86_64-linux-gnu.2.28',
  'linux-x64.musl': 'x86_64-linux-musl',
  'linux-arm64.glibc': 'aarch64-linux-gnu.2.28',
  'linux-arm64.musl': 'aarch64-linux-musl',
  'darwin-x64': 'x86_64-macos.11.0',
  'darwin-arm64': 'aarch64-macos.11.0',
  'win32-x64': 'x86_64-windows-gnu',
  'win32-arm64': 'aarch64-windows-gnu',
};

/** One for each binary: `name`, `file` under the package's folder, compiler triple and flags. */
export const targets = Object.entries(triples).map(([name, triple]) => {
  const [folder, libc] = name.split('.');
  const [platform] = folder.split('-');
  const file = `prebuilds/${folder}/holdfast${libc === undefined ? '' : `.${libc}`}.node`;
  return { name, file, triple, platform, ...systems[platform] };
});
