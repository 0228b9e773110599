import { afterEach, beforeEach, describe } from 'vitest'
import type { Store } from '@plexus/engine/ports'
import type { OpenOptions } from '../migrations.ts'
import { atomicityCases } from './store-atomicity.ts'
import { fencingCases } from './store-fencing.ts'
import { modelCases } from './store-model.ts'
import { orderCases } from './store-order.ts'
import { schemaCases } from './store-schema.ts'

/** One place for data. Each `open` opens that same data and takes over from whoever has it open. */
export interface StoreFixture {
  open(options?: OpenOptions): Promise<Store>
  /** Removes the data; all its stores are closed. */
  remove(): Promise<void>
}

/** What a case works with: every store that it opened is closed after it. */
export type Place = { readonly open: (options?: OpenOptions) => Promise<Store> }

/** Registers the cases of the Store port for the adapter that `prepare` gives fresh places of. */
export function storeContract(name: string, prepare: () => Promise<StoreFixture>): void {
  describe(`Store contract: ${name}`, () => {
    let fixture: StoreFixture
    let opened: Store[] = []
    beforeEach(async () => {
      fixture = await prepare()
    })
    afterEach(async () => {
      await Promise.all(opened.map((store) => store.close()))
      opened = []
      await fixture.remove()
    })
    const place: Place = {
      async open(options) {
        const store = await fixture.open(options)
        opened.push(store)
        return store
      },
    }
    orderCases(place)
    atomicityCases(place)
    fencingCases(place)
    schemaCases(place)
    modelCases(place)
  })
}
