import { defineConfig } from 'vitest/config'

/** Tests that take seconds whatever is mutated, of what is not mutated or of size alone. */
const SLOW = /memory has turned over|5,000 power levels|signatures with torsion|agree on honest signatures/

/** The tests that hold the core, alone: no browser, no other package. */
export default defineConfig({
  test: {
    include: ['packages/core/src/**/*.test.ts'],
    exclude: ['**/*.browser.test.ts', '**/node_modules/**'],
    testTimeout: 60_000,
    testNamePattern: new RegExp(`^(?!.*(?:${SLOW.source}))`),
    setupFiles: ['test/mutation/setup.ts'],
  },
})
