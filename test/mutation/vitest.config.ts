import { defineConfig } from 'vitest/config'

/** Tests that take seconds. A mutant meets them only if it survives all others. */
const SLOW =
  /properties|what its definition says|memory has turned over|one byte was changed|5,000 power levels|loading what it asks for|agree on|of any size and age/

/** The tests that hold the core, alone: no browser, no other package. */
export default defineConfig({
  test: {
    include: ['packages/core/src/**/*.test.ts'],
    exclude: ['**/*.browser.test.ts', '**/node_modules/**'],
    testTimeout: 60_000,
    ...(process.env['PLEXUS_MUTATION'] === 'all'
      ? {}
      : { testNamePattern: new RegExp(`^(?!.*(?:${SLOW.source}))`) }),
  },
})
