{
  'variables': {
    # npm run build:native -- --asan, --tsan, --debug
    'asan%': 0,
    'tsan%': 0,
    # The Node-API that Node 20.19, Bun and Deno all have; else node-addon-api asks the building Node.
    'NAPI_VERSION': '8',
  },
  'targets': [
    {
      'target_name': 'holdfast',
      'dependencies': [ "<!(node -p \"require('node-addon-api').targets\"):node_addon_api" ],
      'sources': [
        'native/binding.cc',
        'native/binding_probe.cc',
        'native/holder_record.cc',
        'native/holding.cc',
        'native/lease_watchdog.cc',
        'native/lock_handle.cc',
        'native/lock_handle_waits.cc',
        'native/lock_waiter.cc',
        'native/parked_thread.cc',
      ],
      # A worker may be terminated at any instruction: what cannot be thrown any more is no fatal error.
      'defines': [ 'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS' ],
      # Only the two registration symbols are for others; hidden ones also load faster.
      'cflags_cc': [
        '-std=c++17', '-fvisibility=hidden', '-fvisibility-inlines-hidden', '-fno-rtti',
        # Part of -Wconversion for clang but not for GCC, and node-addon-api is not clean of it.
        '-Wall', '-Wextra', '-Wpedantic', '-Wconversion', '-Wno-sign-conversion', '-Werror',
        '-fstack-protector-strong',
      ],
      # A section for each function lets the linker drop what is unused; nothing is thrown through our
      # code, so it needs no tables for that.
      'cflags': [ '-ffunction-sections', '-fdata-sections', '-fno-asynchronous-unwind-tables' ],
      'conditions': [
        ['OS=="win"', {
          'sources': [
            'native/file_lock_win.cc', 'native/monotonic_other.cc', 'native/os_thread_win.cc',
            'native/error_win.cc', 'native/turnstile_win.cc',
          ],
          # RtlGetLastNtStatus, which tells a pending deletion from a refusal.
          'libraries': [ 'ntdll.lib' ],
          # Unicode file names; no min/max macros over std::min.
          'defines': [ 'UNICODE', '_UNICODE', 'NOMINMAX', 'WIN32_LEAN_AND_MEAN', '_WIN32_WINNT=0x0A00' ],
          'msvs_settings': {
            'VCCLCompilerTool': {
              'AdditionalOptions': [ '/std:c++17', '/guard:cf', '/Zc:__cplusplus' ],
              'WarningLevel': 4,
              'WarnAsError': 'true',
              # The C run-time library inside: a machine without Visual C++ can load the binary.
              'RuntimeLibrary': 0,
            },
            'VCLinkerTool': { 'AdditionalOptions': [ '/guard:cf' ] },
          },
        }, {
          'sources': [ 'native/file_lock_posix.cc', 'native/os_thread_posix.cc' ],
        }],
        ['OS=="linux"', {
          'sources': [
            'native/file_status_linux.cc', 'native/monotonic_linux.cc', 'native/static_runtime.cc',
            'native/turnstile_linux.cc',
          ],
          'defines': [ '_GNU_SOURCE' ],
          # Full RELRO; no build id, so that equal sources give equal bytes; libstdc++ inside, because
          # Node's own may be older than the compiler's.
          'ldflags': [
            '-Wl,-z,relro,-z,now', '-Wl,--build-id=none', '-Wl,--gc-sections',
            '-static-libgcc', '-static-libstdc++', '-Wl,--exclude-libs,ALL',
          ],
        }],
        ['OS=="linux" and asan==0 and tsan==0', {
          # Fortification replaces functions that the sanitizers want to see.
          'defines': [ '_FORTIFY_SOURCE=2' ],
          # A lock and release takes 2 % less time than with -Os; built by GCC it is a tenth larger.
          'cflags': [ '-O2' ],
          # Templates of the standard library are visible whatever was asked for.
          'ldflags': [ '-Wl,--version-script=<(module_root_dir)/native/exports.map' ],
        }],
        ['OS=="mac"', {
          'sources': [
            'native/file_status_posix.cc', 'native/monotonic_other.cc', 'native/turnstile_none.cc',
          ],
        }],
        ['asan==1', {
          'cflags': [ '-fsanitize=address,undefined', '-fno-omit-frame-pointer', '-g', '-O1' ],
          'ldflags': [ '-fsanitize=address,undefined' ],
          'ldflags!': [ '-static-libgcc', '-static-libstdc++' ],
        }],
        ['tsan==1', {
          'cflags': [ '-fsanitize=thread', '-g', '-O1' ],
          'ldflags': [ '-fsanitize=thread' ],
          'ldflags!': [ '-static-libgcc', '-static-libstdc++' ],
        }],
      ],
      'configurations': {
        # Node's own choice, which would come last.
        'Release': { 'cflags!': [ '-O3' ] },
        # Checks of every argument type inside node-addon-api.
        'Debug': { 'defines': [ 'NODE_ADDON_API_ENABLE_TYPE_CHECK_ON_AS' ] },
      },
      # Here, not under conditions: node-addon-api's target sets 10.7 for whoever depends on it, and
      # only target_conditions come after that.
      'target_conditions': [
        ['OS=="mac"', {
          'xcode_settings': {
            'MACOSX_DEPLOYMENT_TARGET': '11.0',
            'CLANG_CXX_LANGUAGE_STANDARD': 'c++17',
            'GCC_SYMBOLS_PRIVATE_EXTERN': 'YES',
            'GCC_ENABLE_CPP_RTTI': 'NO',
            # As on Linux.
            'OTHER_LDFLAGS': [
              '-Wl,-dead_strip',
              '-Wl,-exported_symbol,_napi_register_module_v1',
              '-Wl,-exported_symbol,_node_api_module_get_api_version_v1',
            ],
            'WARNING_CFLAGS': [
              '-Wall', '-Wextra', '-Wpedantic', '-Wconversion', '-Wno-sign-conversion', '-Werror',
            ],
          },
        }],
      ],
    },
  ],
}
