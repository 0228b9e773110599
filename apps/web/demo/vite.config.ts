import { fileURLToPath } from 'node:url'
import { defineConfig, type UserConfig } from 'vite'

const config: UserConfig = defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  publicDir: fileURLToPath(new URL('../public', import.meta.url)),
  optimizeDeps: {
    noDiscovery: true,
    include: ['preact', 'preact/hooks', 'preact/jsx-dev-runtime', '@preact/signals', 'uqr'],
  },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
})
export default config
