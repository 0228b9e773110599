/** Properties stop after a moment: a mutant that lives through that many cases meets others. */
import fc from 'fast-check'

const PROPERTY_MS = 1_500

// The seed is the same for all mutants, so that a run can be repeated.
fc.configureGlobal({ interruptAfterTimeLimit: PROPERTY_MS, seed: 20_260_801 })
