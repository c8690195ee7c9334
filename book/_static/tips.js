/* Tips: what a link to a term, a reference, a figure or a table leads to, shown beside the link. No request to anyone.

   What they say is in window.linkTips, which book/_ext/link_tips.py takes from the pages themselves. With a mouse a tip
   opens over a link and stays while the pointer is on either; with the keyboard it opens at the focus. On a touch screen
   the first tap opens it and the second follows the link. Escape, or a tap elsewhere, closes it. */
(() => {
  "use strict";

  const GAP = 6; // pixels between a link and its tip
  const OPEN_AFTER = 200; // milliseconds, so that a pointer passing by opens nothing
  const CLOSE_AFTER = 250; // so that it can move from the link to the tip

  /* The address of a link's target as link_tips.py writes it: "page.html#anchor". */
  function target(link) {
    const address = new URL(link.href, document.baseURI);
    return `${address.pathname.split("/").pop() || "index.html"}${decodeURIComponent(address.hash)}`;
  }

  function element(tag, attributes, ...children) {
    const made = document.createElement(tag);
    Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
    made.append(...children);
    return made;
  }

  class Tip {
    constructor(links) {
      this.links = links; // link -> what to show of it
      this.box = element("div", { id: "link-tip", role: "tooltip", hidden: "" });
      document.body.append(this.box);
      this.touched = false;
      this.listen();
    }

    /* The link with a tip that an event happened on, if any. */
    of(event) {
      const link = event.target instanceof Element ? event.target.closest("a") : null;
      return this.links.has(link) ? link : null;
    }

    listen() {
      document.addEventListener("pointerover", (event) => this.over(event));
      document.addEventListener("pointerdown", (event) => this.down(event));
      document.addEventListener("click", (event) => this.click(event), true);
      document.addEventListener("focusin", (event) => {
        const link = this.of(event);
        if (link && link.matches(":focus-visible") && !this.touched) this.open(link);
        else if (!link) this.close();
      });
      document.addEventListener("focusout", (event) => { if (this.of(event) === this.link) this.close(); });
      document.addEventListener("keydown", (event) => { if (event.key === "Escape") this.close(); });
    }

    over(event) {
      if (event.pointerType === "touch") return;
      const link = this.of(event);
      clearTimeout(this.waiting);
      if (link && link !== this.link) this.waiting = setTimeout(() => this.open(link, event.clientY), OPEN_AFTER);
      else if (!link && this.link && !this.box.contains(event.target)) {
        this.waiting = setTimeout(() => this.close(), CLOSE_AFTER);
      }
    }

    down(event) {
      // A screen reader's tap, which has no width, follows the link at once.
      this.touched = event.pointerType === "touch" && event.width > 0;
      if (this.touched && !this.of(event) && !this.box.contains(event.target)) this.close();
    }

    click(event) {
      const link = this.of(event);
      if (!link || !this.touched || link === this.link) return;
      event.preventDefault();
      event.stopPropagation();
      this.open(link);
    }

    open(link, y) {
      this.close();
      const { title, text, image, alt } = this.links.get(link);
      this.box.replaceChildren(...(title ? [element("strong", {}, title)] : []));
      if (image) this.box.append(element("img", { src: image, alt }));
      this.box.append(element("span", {}, text));
      if (this.touched) this.box.append(element("small", {}, "Tap again to go there."));
      this.link = link;
      link.setAttribute("aria-describedby", this.box.id);
      this.box.hidden = false;
      this.place(link, y);
      this.box.querySelector("img")?.addEventListener("load", () => this.place(link, y));
    }

    /* Below the line of the link that the pointer is on, or above it where there is more room; within the window. */
    place(link, y) {
      const lines = [...link.getClientRects()];
      const line = lines.find((one) => y >= one.top && y <= one.bottom) || lines[0];
      if (!line || link !== this.link) return;
      const { width, height } = this.box.getBoundingClientRect();
      const room = document.documentElement.clientWidth - width - GAP;
      const above = line.bottom + GAP + height > window.innerHeight && line.top > window.innerHeight - line.bottom;
      this.box.style.left = `${Math.max(GAP, Math.min(line.left, room)) + window.scrollX}px`;
      this.box.style.top = `${(above ? line.top - GAP - height : line.bottom + GAP) + window.scrollY}px`;
    }

    close() {
      clearTimeout(this.waiting);
      if (!this.link) return;
      this.link.removeAttribute("aria-describedby");
      this.link = undefined;
      this.box.hidden = true;
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    const links = new Map();
    for (const link of document.querySelectorAll('.bd-article a.internal[href*="#"]')) {
      const known = window.linkTips?.[target(link)];
      if (!known) continue;
      link.removeAttribute("title"); // the browser's own tip would cover this one
      links.set(link, known);
    }
    if (links.size) new Tip(links);
  });
})();
