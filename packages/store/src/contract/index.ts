/** Contract suites: what every adapter of a port passes. They import vitest and belong into tests only. */
export { blobsContract } from './blobs-contract.ts'
export type { BlobsFixture } from './blobs-contract.ts'
export { storeContract } from './store-contract.ts'
export type { StoreFixture } from './store-contract.ts'
