import { expect, test } from 'vitest'
import { isOnlyHere, pieces, siteName } from './links'

const links = (text: string): (string | undefined)[] =>
  pieces(text)
    .filter((piece) => piece.href)
    .map((piece) => piece.href)

test('put together, the pieces are the text', () => {
  for (const text of [
    '',
    '在吗',
    'a https://a.example/x?y=1. b',
    'https://a.example',
    '看https://a.example，好吗 http://b.example/)',
  ]) {
    expect(
      pieces(text)
        .map((piece) => piece.text)
        .join(''),
    ).toBe(text)
  }
})

test('a link ends before the punctuation that follows it', () => {
  expect(links('看https://a.example/x，好吗')).toEqual(['https://a.example/x'])
  expect(links('(https://a.example/x_(y)).')).toEqual(['https://a.example/x_(y)'])
  expect(links('https://a.example/x?y=1&z=2!')).toEqual(['https://a.example/x?y=1&z=2'])
})

test('only addresses of the web are links', () => {
  expect(links('javascript:alert(1) data:text/html,x ftp://a.example tel:123 www.a.example http://')).toEqual([])
  expect(links('HTTPS://A.example/X')).toEqual(['https://a.example/X'])
})

test('the real host is shown where the text could deceive', () => {
  expect(pieces('https://www.taobao.com/x')[0]?.host).toBeUndefined()
  expect(pieces('https://www.tаobao.com/x')[0]?.host).toBe('www.xn--tobao-4ve.com')
  expect(pieces('https://taobao.com@evil.example/x')[0]?.host).toBe('evil.example')
  expect(pieces('https://taobao.com\u202e/moc.live')[0]?.href).toBe('https://taobao.com/')
})

test('only a page of the site has a short name', () => {
  expect(siteName('https://www.goofish.com/order-detail?orderId=1&role=seller')).toBe('goofish.com/order-detail')
  expect(siteName('https://www.goofish.com')).toBe('goofish.com')
  for (const other of ['http://www.goofish.com/im', 'https://www.goofish.com@a.example/', 'https://www.goofish.com.a/'])
    expect(siteName(other)).toBe('')
})

test('an address of this machine is told from all others', () => {
  for (const host of ['127.0.0.1', '127.1.2.3:8080', 'localhost:8080', 'a.localhost', '[::1]:8080'])
    expect(isOnlyHere(`http://${host}/console/`)).toBe(true)
  for (const host of ['192.168.1.5:8080', 'shop.example.com', '127.0.0.1.example.com', 'notlocalhost', '[::2]'])
    expect(isOnlyHere(`http://${host}/console/`)).toBe(false)
})
