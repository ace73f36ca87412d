/* The search of these pages runs in a worker, which browsers refuse to pages that are opened from the disk.  There, and only there,
   this stands in for it: the same script in a hidden frame.  It takes the place of a file that Material would load from a CDN. */
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      this.waiting = []
      document.body.append(this.frame)
      const inner = this.frame.contentWindow
      inner.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
      const load = address => new Promise((resolve, reject) => {
        const script = inner.document.createElement("script")
        script.src = address
        script.onload = resolve
        script.onerror = reject
        inner.document.body.append(script)
      })
      inner.importScripts = (...addresses) => addresses.reduce((last, next) => last.then(() => load(next)), Promise.resolve())
      load(new URL(url, location).href).then(() => {
        this.ready = true
        this.waiting.splice(0).forEach(data => this.postMessage(data))
      })
    }
    postMessage(data) {
      if (this.ready) this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data }))
      else this.waiting.push(data)
    }
    terminate() {
      this.frame.remove()
    }
  }
}
