import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import vue from '@vitejs/plugin-vue'
import { NaiveUiResolver } from 'unplugin-vue-components/resolvers'
import components from 'unplugin-vue-components/vite'
import { defineConfig, type Plugin, runnerImport } from 'vite'

const out = fileURLToPath(new URL('../src/shoal/console/static', import.meta.url))

/** Packs each text file once, at build time, so that the server need not. */
function packed(): Plugin {
  return {
    name: 'packed',
    apply: 'build',
    closeBundle() {
      for (const entry of readdirSync(out, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile() || !/\.(js|css|html|svg|webmanifest|md)$/.test(entry.name)) continue
        const path = `${entry.parentPath}/${entry.name}`
        const plain = readFileSync(path)
        if (plain.length < 1024) continue
        const brotli = {
          params: { [constants.BROTLI_PARAM_QUALITY]: 9, [constants.BROTLI_PARAM_SIZE_HINT]: plain.length },
        }
        writeFileSync(`${path}.br`, brotliCompressSync(plain, brotli))
        writeFileSync(`${path}.gz`, gzipSync(plain, { level: 9 }))
      }
    },
  }
}

/**
 * Gives the script that runs first a name by its content, as every other file has one, so that browsers may keep it; it
 * stays a file of its own, since it must run when the others cannot be loaded, and it is asked for before them: the page
 * is not drawn without it. The style sheet is named after the skeleton, which need not wait for it.
 */
function firstThings(): Plugin {
  const source = readFileSync(fileURLToPath(new URL('src/app/boot.js', import.meta.url)), 'utf8')
  const fileName = `assets/boot-${createHash('sha256').update(source).digest('hex').slice(0, 8)}.js`
  let isBuild = false
  return {
    name: 'first-things',
    configResolved(config) {
      isBuild = config.command === 'build'
    },
    generateBundle() {
      this.emitFile({ type: 'asset', fileName, source })
    },
    transformIndexHtml: {
      order: 'post',
      handler(html, { bundle }) {
        const chunks = Object.values(bundle ?? {}).filter((one) => one.type === 'chunk')
        const texts = (language: string) =>
          ['first', 'pages']
            .map((part) => chunks.find((one) => one.facadeModuleId === `\0virtual:texts/${language}/${part}`)?.fileName)
            .map((file) => file && `/console/${file}`)
            .join(' ')
        const sheets = html.match(/ *<link rel="stylesheet"[^>]*>\n/g) ?? []
        const without = sheets.reduce((text, sheet) => text.replace(sheet, ''), html)
        const src = `/console/${isBuild ? fileName : 'src/app/boot.js'}`
        return {
          html: without.replace('  </body>', `${sheets.join('')}  </body>`),
          tags: [
            { tag: 'script', attrs: { src, 'data-zh': texts('zh'), 'data-en': texts('en') }, injectTo: 'head-prepend' },
          ],
        }
      },
    },
  }
}

/**
 * Makes a module of each part of the texts in each language, so that a browser loads one language: `texts.ts` of a
 * feature has both beside each other, for who writes them.
 */
function texts(): Plugin {
  const name = /^virtual:texts\/(zh|en)\/(first|pages)$/
  // Tests ask for texts of all parts, without a page that would load them.
  const isTest = Boolean(process.env.VITEST)
  const folder = fileURLToPath(new URL('src/i18n/', import.meta.url))
  const fresh = (file: string) => runnerImport<Record<string, unknown>>(folder + file, { configFile: false })
  // A build reads each file once, for all four modules, and before all others: a reader waits a minute at most, which a
  // busy machine needs for the rest. While a text is edited, its file is read again.
  const kept = new Map<string, ReturnType<typeof fresh>>()
  let isBuild = false
  function read(file: string): ReturnType<typeof fresh> {
    const found = (isBuild && kept.get(file)) || fresh(file)
    kept.set(file, found)
    return found
  }
  return {
    name: 'texts',
    configResolved(config) {
      isBuild = config.command === 'build'
    },
    async buildStart() {
      if (isBuild) for (const file of ['first.ts', 'zh.ts', 'en.ts']) await read(file)
    },
    resolveId: (id) => (name.test(id) ? `\0${id}` : undefined),
    async load(id) {
      const [, language, part] = name.exec(id.slice(1)) ?? []
      if (!language) return
      const [all, first] = await Promise.all([read(`${language}.ts`), read('first.ts')])
      for (const path of [...all.dependencies, ...first.dependencies]) this.addWatchFile(path)
      const groups = Object.entries(all.module[language] as Record<string, object>)
      const names = first.module.FIRST as string[]
      const found = groups.filter(([group]) => names.includes(group) === (part === 'first') || isTest)
      if (part === 'first' && !isTest && found.length !== names.length)
        this.error(`first.ts names a group that ${language}.ts lacks`)
      return `export default ${JSON.stringify(Object.fromEntries(found))}`
    },
  }
}

export default defineConfig({
  base: '/console/',
  plugins: [
    vue(),
    components({ dts: 'src/components.d.ts', dirs: [], resolvers: [NaiveUiResolver()] }),
    texts(),
    firstThings(),
    packed(),
  ],
  // What the console does not use of its libraries is left out of every page.
  define: { __VUE_I18N_LEGACY_API__: false, __VUE_I18N_FULL_INSTALL__: false, __VUE_PROD_DEVTOOLS__: false },
  build: {
    outDir: out,
    emptyOutDir: true,
    target: 'es2022',
    license: { fileName: 'licenses.md' },
    chunkSizeWarningLimit: 900,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      output: {
        // A page asked for 120 files, and a browser gets six at a time: so what pages share comes in few. What the sign-in
        // needs stays apart from it. Modules refer to each other over files, so each runs when it is first needed.
        strictExecutionOrder: true,
        codeSplitting: {
          groups: [
            { name: 'base', tags: ['$initial'], priority: 3 },
            {
              name: 'forms',
              test: /icon\.svg|common[\\/](clock|help|holdOff|ui[\\/](HelpLink|NewPassword|Plain\w+))\./,
              priority: 3,
            },
            {
              name: 'kit',
              test: /node_modules[\\/](?!.*(echarts|zrender|qrcode|jsqr))/,
              minShareCount: 2,
              priority: 2,
            },
            { name: 'shared', minShareCount: 3, entriesAware: true, entriesAwareMergeThreshold: 30_000, priority: 1 },
          ],
        },
      },
    },
  },
  server: {
    proxy: { '^/(?!console/(?!session|live|cookie-check))': { target: 'http://127.0.0.1:8080', ws: true } },
  },
})
