import { defineConfig } from 'vitest/config'

/** The tests that hold the core, alone: no browser, no other package. */
export default defineConfig({
  test: {
    include: ['packages/core/src/**/*.test.ts'],
    exclude: ['**/*.browser.test.ts', '**/node_modules/**'],
    testTimeout: 60_000,
  },
})
