import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defineConfig, type Plugin, type UserConfig } from 'vite'

const root = fileURLToPath(new URL('.', import.meta.url))
const WORKER = 'service-worker.js'
/** What the service worker is not to keep: itself, and what is written beside the files later. */
const NOT_KEPT = new Set([WORKER, '.stamp'])

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !NOT_KEPT.has(entry.name) && !/\.(?:br|gz|map)$/.test(entry.name))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .toSorted()
}

/** Tells the service worker every file of the build with its hash, once all are written. */
function precache(): Plugin {
  let folder = ''
  return {
    name: 'plexus-precache',
    apply: 'build',
    configResolved: (config) => {
      folder = resolve(config.root, config.build.outDir)
    },
    closeBundle: {
      order: 'post',
      handler: () => {
        const hashed = filesBelow(folder).map((path) => {
          const hash = createHash('sha256')
            .update(readFileSync(join(folder, path)))
            .digest('base64url')
          return [`/${path}`, hash] as const
        })
        const version = createHash('sha256').update(JSON.stringify(hashed)).digest('base64url').slice(0, 16)
        const worker = join(folder, WORKER)
        const code = readFileSync(worker, 'utf8')
        if (/^\s*(?:import|export)\b/m.test(code))
          throw new Error('the service worker must be one classic script')
        writeFileSync(worker, `const PRECACHE=${JSON.stringify({ version, files: hashed })};\n${code}`)
      },
    },
  }
}

/** Modules of matrix-js-sdk that only calls and sliding sync need, as its MatrixClient names them. */
const UNUSED_OF_SDK =
  /^\.\/(?:webrtc\/(?:call|callEventHandler|groupCall|groupCallEventHandler|mediaHandler)|matrixrtc\/MatrixRTCSessionManager|sliding-sync-sdk)\.js$/

const config: UserConfig = defineConfig({
  root,
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  worker: {
    format: 'es',
    // What the HPKE library would ask Node for, where there is no global WebCrypto.
    rolldownOptions: { external: ['crypto'] },
  },
  resolve: { alias: [{ find: UNUSED_OF_SDK, replacement: join(root, 'src/page/no-calls.ts') }] },
  plugins: [precache()],
  build: {
    outDir: 'dist',
    target: 'es2022',
    // The crypto module is one large file by nature.
    chunkSizeWarningLimit: 1_500,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: { index: join(root, 'index.html'), 'service-worker': join(root, 'src/service-worker.ts') },
      output: {
        entryFileNames: (chunk) => (chunk.name === 'service-worker' ? WORKER : 'assets/[name]-[hash].js'),
      },
    },
  },
})
export default config
