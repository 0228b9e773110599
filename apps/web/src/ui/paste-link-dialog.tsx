import type { JSX } from 'preact'
import { Dialog } from './dialog.tsx'
import type { AppModel } from './model.ts'
import { PasteLink } from './paste-link.tsx'

export function PasteLinkDialog({ app, onClose }: { app: AppModel; onClose: () => void }): JSX.Element {
  return (
    <Dialog title="Open a link" onClose={onClose}>
      <p class="hint">Somebody gave you a link to a room? Paste it here, whichever address it begins with.</p>
      <PasteLink app={app} onRead={onClose} />
    </Dialog>
  )
}
